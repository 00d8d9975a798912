import type { WatchClusterInput, WatchStatus } from './contracts/watch.ts';

/** Everything that a watch remembers. Changed only inside the workflow. */
export interface Watch {
  readonly input: WatchClusterInput;
  readonly status: { -readonly [K in keyof WatchStatus]: WatchStatus[K] };
  /** Somebody handed the archive over: the catalogs are read anew. */
  moved: boolean;
}
