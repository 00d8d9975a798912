/** What a metric counts or measures. An observed gauge is asked for when somebody looks, so that what it shows can go. */
export type MetricKind = 'counter' | 'gauge' | 'observed-gauge' | 'histogram';

export interface MetricSpec {
  readonly kind: MetricKind;
  readonly help: string;
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
  /** The labels that are shown; what else an event carries stays with the event, because it has no bound. */
  readonly labels: readonly string[];
}

const LATENCY_BUCKETS = [1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400] as const;
const PHASE_BUCKETS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600] as const;
const ROUTING_BUCKETS = [0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900] as const;

/**
 * Every metric, with the labels that bound it: ids of clusters, sources and stores come from the
 * configuration; the other labels take values from closed lists. docs/operations.md holds this table, too.
 */
export const METRICS = {
  binlog_fallback_routing_attempts_total: {
    kind: 'counter',
    help: 'Handoffs to another store or source that were begun, by how they ended; not_yet: tried again.',
    labels: ['cluster', 'subject', 'outcome'],
  },
  binlog_fallback_routing_duration_seconds: {
    kind: 'histogram',
    help: 'Seconds from the detection of a failure to the end of the handoff.',
    buckets: ROUTING_BUCKETS,
    labels: ['cluster', 'subject', 'outcome'],
  },
  binlog_fallback_gtid_gap_detected_total: {
    kind: 'counter',
    help: 'Gaps of GTIDs that were found: before a binlog, or between a candidate and the catalog.',
    labels: ['cluster', 'found_by'],
  },
  binlog_fallback_storage_latency_ms: {
    kind: 'gauge',
    help: 'Milliseconds that the last request of this kind to a store took: a create until it was acknowledged, a read or listing until its first bytes.',
    labels: ['cluster', 'store', 'provider', 'operation'],
  },
  binlog_sync_discovered_total: {
    kind: 'counter',
    help: 'Closed binlogs that were found and were not archived yet.',
    labels: ['cluster', 'source'],
  },
  binlog_sync_uploaded_total: {
    kind: 'counter',
    help: 'Binlogs that were stored in a store and read back.',
    labels: ['cluster', 'source', 'store', 'provider'],
  },
  binlog_sync_failed_total: {
    kind: 'counter',
    help: 'Attempts of a step of archiving that failed; those that are tried again count, too.',
    labels: ['cluster', 'source', 'store', 'provider', 'phase', 'error_code', 'retry_count'],
  },
  binlog_sync_latency_seconds: {
    kind: 'histogram',
    help: 'Seconds from the last commit in a binlog to its being archived in a store.',
    buckets: LATENCY_BUCKETS,
    labels: ['cluster', 'source', 'store'],
  },
  binlog_sync_phase_duration_seconds: {
    kind: 'histogram',
    help: 'Seconds that a step of a phase of archiving took which succeeded: of one look, one log, one store.',
    buckets: PHASE_BUCKETS,
    labels: ['cluster', 'source', 'phase'],
  },
  binlog_retention_minutes_left: {
    kind: 'observed-gauge',
    help: 'Minutes until the server may purge the oldest closed binlog that is not archived, at the last look; +Inf where none waits, or it purges none by itself.',
    labels: ['cluster', 'source'],
  },
  binlog_store_backlog: {
    kind: 'observed-gauge',
    help: 'Closed binlogs of a source that a store lacked at the last look.',
    labels: ['cluster', 'source', 'store', 'provider'],
  },
  binlog_store_circuit_open: {
    kind: 'observed-gauge',
    help: '1 where a store has failed several times in a row and is only tried now and then, at the last look; else 0.',
    labels: ['cluster', 'source', 'store', 'provider'],
  },
  binlog_queue_depth: {
    kind: 'observed-gauge',
    help: 'Closed binlogs of a source that are not archived in every store.',
    labels: ['cluster', 'source'],
  },
  binlog_sync_last_success_timestamp_seconds: {
    kind: 'observed-gauge',
    help: 'Unix time at which a binlog of a source was last archived in a store by this process.',
    labels: ['cluster', 'source', 'store'],
  },
  binlog_sync_last_failure_timestamp_seconds: {
    kind: 'observed-gauge',
    help: 'Unix time of the last failed attempt for a source and store, and what failed. One series for each source and store.',
    labels: ['cluster', 'source', 'store', 'provider', 'phase', 'error_code', 'retry_count', 'binlog_index'],
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

export type MetricName = keyof typeof METRICS;
type NamesOf<Kind extends MetricKind> = {
  [Name in MetricName]: (typeof METRICS)[Name]['kind'] extends Kind ? Name : never;
}[MetricName];

export type CounterName = NamesOf<'counter'>;
export type GaugeName = NamesOf<'gauge'>;
export type ObservedGaugeName = NamesOf<'observed-gauge'>;
export type HistogramName = NamesOf<'histogram'>;
