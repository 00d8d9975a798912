import type { ArchiveStatus } from '../../../workflows/contracts/archive.ts';
import type { WatchStatus } from '../../../workflows/contracts/watch.ts';
import type { SegmentRefusal } from '../../catalog/fold.ts';
import type { ArchiveHole } from '../../domain/archive-holes.ts';
import type { AppError } from '../../domain/errors.ts';
import type { GtidSet } from '../../domain/gtid-set.ts';
import type { RestorableWindow } from '../../domain/restore-windows.ts';
import type { ServerFacts } from '../../mysql/facts.ts';

/** How far one server is archived in one store. */
export interface ArchivedLine {
  readonly serverUuid: string;
  readonly timeline: number;
  /** Everything that is covered: archived, or logged before the first archived binlog. */
  readonly covered: GtidSet;
  readonly lastBinlog: string;
  /** RFC 3339 UTC; null where no archived transaction has a commit time. */
  readonly lastCommit: string | null;
}

export interface ReadableStore {
  readonly status: 'read';
  readonly id: string;
  readonly location: string;
  readonly repositoryId: string;
  readonly head: { readonly sequence: number; readonly sha256: string };
  readonly epoch: number;
  readonly segments: number;
  readonly backups: number;
  /** The base backup that was finished last; null where there is none. */
  readonly newestBackup: { readonly backupId: string; readonly finishedAt: string } | null;
  /** Stored bytes of segments and backups. */
  readonly storedBytes: number;
  /** All GTIDs archived on any timeline. */
  readonly archived: GtidSet;
  /** Names of binlogs that are archived, or recognized in those of other servers, by server. */
  readonly binlogs: ReadonlyMap<string, ReadonlySet<string>>;
  readonly lines: readonly ArchivedLine[];
  readonly windows: readonly RestorableWindow[];
  readonly holes: readonly ArchiveHole[];
  /** Where a restore goes that names no timeline; null where nothing is archived. */
  readonly newestTimeline: number | null;
  readonly deadLetters: readonly SegmentRefusal[];
  readonly damagedPacks: readonly number[];
}

export type StoreFacts =
  | ReadableStore
  | { readonly status: 'unreadable'; readonly id: string; readonly error: AppError };

/** What a source itself says. */
export type ServerAnswer =
  | {
      readonly status: 'answered';
      readonly serverUuid: string;
      readonly gtidExecuted: GtidSet;
      /** Closed binlogs that the server lists, oldest first. */
      readonly closed: readonly { readonly name: string; readonly sizeBytes: number }[];
      readonly gtidMode: ServerFacts['gtidMode'];
      /** PREVIOUS_GTIDS of each closed log and of the open one; null where it is not known. Empty where no handoff named the server. */
      readonly heads: readonly (string | null)[];
    }
  | { readonly status: 'unreachable'; readonly error: AppError };

/** What Temporal says of a source's archiving. */
export type WorkflowAnswer =
  | { readonly status: 'running'; readonly workflowId: string; readonly archive: ArchiveStatus }
  /** The workflow is open, but no worker answers for it. */
  | { readonly status: 'silent'; readonly workflowId: string }
  /** Never started, or ended. */
  | { readonly status: 'not-running'; readonly workflowId: string }
  | { readonly status: 'unreachable'; readonly error: AppError };

export interface SourceFacts {
  readonly id: string;
  readonly server: ServerAnswer;
  readonly workflow: WorkflowAnswer;
}

/** What Temporal says of the watch over the archived source. */
export type WatchAnswer =
  /** No fallback is named. */
  | { readonly status: 'not-wanted' }
  | { readonly status: 'running'; readonly workflowId: string; readonly answer: WatchStatus }
  | { readonly status: 'silent' | 'not-running'; readonly workflowId: string }
  | { readonly status: 'unreachable'; readonly error: AppError };

export interface ClusterFacts {
  readonly cluster: string;
  readonly stores: readonly StoreFacts[];
  /** Why a restore that names no timeline is refused, whatever its target; null where the stores read as one history. */
  readonly disagreement: AppError | null;
  readonly sources: readonly SourceFacts[];
  readonly watch: WatchAnswer;
}
