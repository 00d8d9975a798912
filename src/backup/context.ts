import type { Repositories } from '../archiving/repositories.ts';
import type { AppendBy } from '../catalog/catalog.ts';
import type { SourceConfig } from '../config/types.ts';
import type { Micros } from '../domain/time.ts';
import type { MysqlSession } from '../mysql/session.ts';
import type { Tool } from '../process/tools.ts';
import type { RateGate } from '../storage/guard/rate-gate.ts';
import type { StorePolicies } from './left-behind.ts';

/** What the phases act with. Runs on the database host. */
export interface BackupContext {
  /** Opens a session on the source; the phase closes it. */
  readonly connect: () => Promise<MysqlSession>;
  /** The staging folder of the source; backups lie in `backups` below it. */
  readonly stagingDir: string;
  readonly repositories: Repositories;
  /** How the stores count by the configuration. */
  readonly policies: StorePolicies;
  /** What goes from the source to all stores passes it. */
  readonly gate: RateGate;
  /** The program of the same release as the source. */
  readonly mysqld: Tool;
  /** Id of the source in the configuration. */
  readonly source: string;
  readonly role: SourceConfig['role'];
  /** Id of the source that is archived unless a handoff named another. */
  readonly archivedSource: string;
  /** Signs an entry in the epoch that the backup claimed when it began. */
  readonly sign: (epoch: number) => AppendBy;
  readonly now: () => Micros;
  /** zstd level, 1 to 19. */
  readonly level: number;
  readonly signal: AbortSignal;
  /** Bytes done and expected in the phase that runs. */
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}
