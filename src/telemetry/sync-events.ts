import { count, hide, type Labels, measure, set, show } from './metrics.ts';

/** A source and one of the stores that it is archived in; '' where an event belongs to none. */
export interface SyncPlace {
  readonly cluster: string;
  readonly source: string;
  readonly store: string;
  /** `s3`, `gcs`, `directory` for a store; `mysql` where the server or its files were asked. */
  readonly provider: string;
}

/** The four phases of a sync; `other` for what serves none of them. */
export type SyncPhase = 'discovery' | 'validation' | 'transport' | 'commit' | 'other';

/** An attempt that failed, as the log and the metrics tell it. */
export interface SyncFailure extends SyncPlace {
  readonly phase: SyncPhase;
  readonly errorCode: string;
  /** 0 for the first attempt. */
  readonly retryCount: number;
  /** The number at the end of the binlog's name; null where it is about none. */
  readonly binlogIndex: number | null;
}

/** More retries than this are one value of the label. */
const MAX_RETRY_LABEL = 10;

/** Shows a source and its stores at 0 from the beginning, so that the first event is an increase. */
export function declareSync(cluster: string, source: string, stores: readonly SyncPlace[]): void {
  count('binlog_sync_discovered_total', 0, { cluster, source });
  count('binlog_fallback_gtid_gap_detected_total', 0, { cluster, found_by: 'archive' });
  for (const place of stores) count('binlog_sync_uploaded_total', 0, { ...place });
}

/** Closed binlogs were found that were not known before, and so many in all are not archived everywhere. */
export function binlogsDiscovered(
  { cluster, source }: Pick<SyncPlace, 'cluster' | 'source'>,
  found: { readonly fresh: number; readonly queued: number },
): void {
  count('binlog_sync_discovered_total', found.fresh, { cluster, source });
  show('binlog_queue_depth', found.queued, { cluster, source });
}

/** How a store stands for a source, as a look found it. */
export function storeSeen(
  place: SyncPlace,
  { backlog, circuit }: { readonly backlog: number; readonly circuit: 'open' | 'closed' },
): void {
  show('binlog_store_backlog', backlog, { ...place });
  show('binlog_store_circuit_open', circuit === 'open' ? 1 : 0, { ...place });
}

/** So many minutes are left until the server may purge what is not archived; infinite where it will not. */
export function retentionSeen(
  { cluster, source }: Pick<SyncPlace, 'cluster' | 'source'>,
  minutesLeft: number,
): void {
  show('binlog_retention_minutes_left', minutesLeft, { cluster, source });
}

/** A step of a phase succeeded, after so many milliseconds. */
export function phaseDone(
  { cluster, source }: Pick<SyncPlace, 'cluster' | 'source'>,
  phase: SyncPhase,
  elapsedMs: number,
): void {
  measure('binlog_sync_phase_duration_seconds', elapsedMs / 1000, { cluster, source, phase });
}

/** So many binlogs lie in a store, and were read back. */
export function binlogsUploaded(place: SyncPlace, binlogs: number): void {
  count('binlog_sync_uploaded_total', binlogs, { ...place });
}

/** A catalog names a binlog: it is archived there. Times in milliseconds since 1970; null without a commit. */
export function binlogArchived(
  { cluster, source, store }: Pick<SyncPlace, 'cluster' | 'source' | 'store'>,
  at: { readonly lastCommitMs: number | null; readonly nowMs: number },
): void {
  const labels = { cluster, source, store };
  show('binlog_sync_last_success_timestamp_seconds', at.nowMs / 1000, labels);
  if (at.lastCommitMs === null) return;
  measure('binlog_sync_latency_seconds', Math.max(0, at.nowMs - at.lastCommitMs) / 1000, labels);
}

/** An attempt failed. The number of the binlog has no bound, so only the last failure shows it. */
export function syncFailed(failure: SyncFailure, nowMs: number): void {
  const labels = failureLabels(failure);
  count('binlog_sync_failed_total', 1, labels);
  const { cluster, source, store } = failure;
  const place = JSON.stringify([cluster, source, store]);
  show('binlog_sync_last_failure_timestamp_seconds', nowMs / 1000, labels, place);
}

/** A source stands by, for another one holds the archive: what was last seen of it is no state of the archive any more. */
export function sourceStandsBy({ cluster, source }: Pick<SyncPlace, 'cluster' | 'source'>): void {
  hide({ cluster, source });
}

/** GTIDs are missing: before a binlog that was to be archived, or at a candidate for a handoff. */
export function gtidGapDetected(cluster: string, foundBy: 'archive' | 'handoff'): void {
  count('binlog_fallback_gtid_gap_detected_total', 1, { cluster, found_by: foundBy });
}

/** A request to a store was answered after so many milliseconds. */
export function storeAnswered(
  { cluster, store, provider }: Pick<SyncPlace, 'cluster' | 'store' | 'provider'>,
  operation: string,
  elapsedMs: number,
): void {
  set('binlog_fallback_storage_latency_ms', elapsedMs, { cluster, store, provider, operation });
}

/** A handoff came to its end, so many seconds after the failure was detected. */
export function handoffEnded(handoff: {
  readonly cluster: string;
  readonly subject: 'store' | 'source';
  readonly outcome: 'switched' | 'refused' | 'failed';
  readonly seconds: number;
}): void {
  const { seconds, ...labels } = handoff;
  count('binlog_fallback_routing_attempts_total', 1, labels);
  measure('binlog_fallback_routing_duration_seconds', seconds, labels);
}

/** Another store was to count, and what must be so before it is not so yet: no end, it is tried again by the next look. */
export function storeHandoffPostponed(cluster: string): void {
  const labels = { cluster, subject: 'store', outcome: 'not_yet' };
  count('binlog_fallback_routing_attempts_total', 1, labels);
}

function failureLabels(failure: SyncFailure): Labels {
  const { errorCode, retryCount, binlogIndex, ...place } = failure;
  return {
    ...place,
    error_code: errorCode,
    retry_count: retryCount > MAX_RETRY_LABEL ? `${MAX_RETRY_LABEL}+` : String(retryCount),
    binlog_index: binlogIndex === null ? '' : String(binlogIndex),
  };
}
