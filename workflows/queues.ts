/**
 * Names of task queues. A region groups workers that share a network; a host queue belongs to the
 * one worker process that sees a server's files.
 */

/** Workflows and activities that need only the configuration. */
export function controlQueue(region: string): string {
  return `control.${region}`;
}

/** Activities that need the stores and their key, but no server. */
export function storeQueue(region: string): string {
  return `store.${region}`;
}

/** Activities that need the files of a database host. */
export function hostQueue(host: string): string {
  return `host.${host}`;
}

/** Transfers from a database host: they last as long as logs are large, and nothing short waits behind them. */
export function transferQueue(host: string): string {
  return `transfer.${host}`;
}

/** Activities of a restore; any restore worker of the region may begin one. */
export function restoreQueue(region: string): string {
  return `restore.${region}`;
}

/** Steps of one restore that must stay on the machine where it began. */
export function restoreHostQueue(region: string, hostname: string): string {
  return `restore.${region}.${hostname}`;
}

/** The region of a workflow, from the control queue that it runs on. */
export function regionOf(taskQueue: string): string {
  const dot = taskQueue.indexOf('.');
  return dot < 0 ? 'local' : taskQueue.slice(dot + 1);
}
