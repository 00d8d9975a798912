import type { CatalogState } from '../catalog/fold.ts';
import type { ServerUuid } from '../domain/identity.ts';
import type { BinaryLog } from '../mysql/facts.ts';
import type { SourceLog } from './source-logs.ts';
import type { LogRef } from './staging.ts';

/** What a look at the beginnings of logs knows. */
export interface HeadsWanted {
  readonly serverUuid: ServerUuid;
  /** As the server lists them; the last one is open. */
  readonly listed: readonly BinaryLog[];
  /** Sizes by name, as the server lists them now. */
  readonly relist: () => Promise<ReadonlyMap<string, number>>;
  /** The catalogs that are known. */
  readonly stores: readonly CatalogState[];
}

export interface StageRun {
  readonly signal: AbortSignal;
  /** Called with the bytes of all wanted logs that are there. */
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

/** How the logs of a source are reached; it has two homes, the server's files and the server itself. */
export interface LogAccess {
  readonly mode: 'host' | 'remote';
  /** Bound of the staging folder: logs and their sealed forms together. */
  readonly stagingMaxBytes: number;
  /**
   * Reads the beginning of every listed log. One that vanished since the listing is left out.
   * @throws refused `WrongBinlogDir`; unavailable
   */
  readHeads(wanted: HeadsWanted): Promise<SourceLog[]>;
  /**
   * Puts closed logs into the staging folder, in order, and ends at the first that the server does not have or does
   * not give any more: the next look tells what became of it.
   *
   * @returns how many were staged
   * @throws unavailable, among them `StagingFull`; refused
   */
  stage(logs: readonly LogRef[], run: StageRun): Promise<number>;
  /** PREVIOUS_GTIDS of the log behind another, wherever it lies now; null where it is not what was listed any more. */
  successorGtids(successor: LogRef | null): Promise<string | null>;
  /** A staged log was found damaged: what can be had again from the server is dropped, so that a retry gets it anew. */
  dropDamaged(log: LogRef): Promise<void>;
  /** The bytes of a log as the server has it. @throws unavailable, refused */
  read(log: LogRef, signal: AbortSignal): AsyncIterable<Uint8Array>;
}
