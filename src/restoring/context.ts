import type { ClusterConfig } from '../config/types.ts';
import type { Micros } from '../domain/time.ts';
import type { Tool } from '../process/tools.ts';
import type { StepProgress } from './job.ts';

/** What the steps of a restore act with. Runs on the machine where the target folder comes to lie. */
export interface RestoreContext {
  readonly cluster: ClusterConfig;
  /** The server program that replays. */
  readonly mysqld: Tool;
  readonly signal: AbortSignal;
  readonly now: () => Micros;
  readonly onProgress: (progress: StepProgress) => void;
}
