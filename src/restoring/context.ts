import { wallClock } from '../archiving/repositories.ts';
import type { ClusterConfig } from '../config/types.ts';
import type { Micros } from '../domain/time.ts';
import { findTool, searchTool, TOOL_VARIABLES, type Tool } from '../process/tools.ts';
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

/** The surroundings of a restore on this machine, as the configuration says. @throws config without a mysqld */
export async function restoreContext(
  cluster: ClusterConfig,
  signal: AbortSignal,
  onProgress: RestoreContext['onProgress'],
): Promise<RestoreContext> {
  return { cluster, mysqld: await restoreProgram(cluster), signal, now: wallClock, onProgress };
}

/** `restore.mysqld` of the configuration, or the program that is found. */
async function restoreProgram(cluster: ClusterConfig): Promise<Tool> {
  const { mysqld } = cluster.restore;
  if (mysqld === null) return findTool('mysqld');
  const search = await searchTool('mysqld', { ...process.env, [TOOL_VARIABLES.mysqld]: mysqld });
  return search.kind === 'found' ? search.tool : findTool('mysqld');
}
