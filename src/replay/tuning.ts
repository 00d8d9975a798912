/**
 * Server options of the throw-away applier. It does one thing, nobody reads from it, and a crash of the
 * machine means to restore again; a crash of the process alone must still resume exactly.
 */

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

export interface TuningFacts {
  /** Memory that processes may still take. */
  readonly availableMemoryBytes: number;
  readonly cores: number;
  /** Size of the restored data folder. */
  readonly dataBytes: number;
  /** Free space where the data folder lies. */
  readonly freeDiskBytes: number;
  /** From the backup's facts; a server refuses a folder made under another value. */
  readonly lowerCaseTableNames: number;
}

export interface Tuning {
  readonly workers: number;
  readonly bufferPoolBytes: number;
  readonly redoCapacityBytes: number;
  readonly relaySpaceBytes: number;
  readonly lowerCaseTableNames: number;
  /** `--name=value` each, all of the above among them. */
  readonly options: readonly string[];
}

function clamp(value: number, low: number, high: number): number {
  return Math.floor(Math.min(Math.max(value, low), high) / MiB) * MiB;
}

/**
 * Decides the applier's options. Buffer pool: half of what is free, and not more than four times the data.
 * Redo and relay logs: an eighth of the free disk each, within bounds.
 */
export function planTuning(facts: TuningFacts): Tuning {
  const useful = Math.max(GiB, facts.dataBytes * 4);
  const bufferPoolBytes = clamp(Math.min(facts.availableMemoryBytes / 2, useful), 128 * MiB, 256 * GiB);
  const redoCapacityBytes = clamp(facts.freeDiskBytes / 8, 128 * MiB, 4 * GiB);
  const relaySpaceBytes = clamp(facts.freeDiskBytes / 8, 256 * MiB, 8 * GiB);
  const workers = Math.min(Math.max(facts.cores * 2, 4), 32);
  const sized = [
    `--innodb-buffer-pool-size=${bufferPoolBytes}`,
    `--innodb-redo-log-capacity=${redoCapacityBytes}`,
    `--relay-log-space-limit=${relaySpaceBytes}`,
    `--replica-parallel-workers=${workers}`,
    `--lower-case-table-names=${facts.lowerCaseTableNames}`,
  ];
  const options = [...EXACT, ...RELAXED, ...LEAN, ...sized];
  const { lowerCaseTableNames } = facts;
  return { workers, bufferPoolBytes, redoCapacityBytes, relaySpaceBytes, lowerCaseTableNames, options };
}

/** What makes the replay exact. */
const EXACT = [
  '--gtid-mode=ON',
  '--enforce-gtid-consistency=ON',
  // Nothing the replay does may make a GTID of its own.
  '--skip-log-bin',
  '--log-replica-updates=OFF',
  '--event-scheduler=OFF',
  '--skip-replica-start',
  '--relay-log-recovery=ON',
  // An origin's server_id may be this server's by chance; its events must not be ignored.
  '--replicate-same-server-id=ON',
  '--replica-skip-errors=OFF',
  '--replica-exec-mode=STRICT',
  '--replica-type-conversions=',
  '--replica-max-allowed-packet=1G',
  '--max-allowed-packet=1G',
  '--super-read-only=OFF',
  '--read-only=OFF',
  '--autocommit=ON',
  // What the origin had persisted or started by plugin is not this server's business.
  '--persisted-globals-load=OFF',
  '--loose-group-replication-start-on-boot=OFF',
];

/** Durability that a restore does not need: it is given at the clean shutdown. */
const RELAXED = [
  '--innodb-flush-log-at-trx-commit=0',
  // Torn pages are found at recovery, and not written twice.
  '--innodb-doublewrite=DETECT_ONLY',
  // A SIGKILL cannot cut a page in two on its way through the page cache.
  '--innodb-flush-method=O_DIRECT',
  '--sync-relay-log=0',
  '--sync-relay-log-info=0',
  '--sync-source-info=0',
];

/** Resources for the one thing it does. */
const LEAN = [
  '--innodb-log-buffer-size=64M',
  '--innodb-io-capacity=5000',
  '--innodb-io-capacity-max=20000',
  '--innodb-buffer-pool-dump-at-shutdown=OFF',
  '--innodb-buffer-pool-load-at-startup=OFF',
  '--innodb-stats-auto-recalc=ON',
  '--performance-schema=OFF',
  '--loose-replica-parallel-type=LOGICAL_CLOCK',
  '--replica-preserve-commit-order=OFF',
  '--replica-net-timeout=30',
  '--replica-pending-jobs-size-max=256M',
  '--replica-checkpoint-group=8192',
  '--replica-checkpoint-period=1000',
  '--skip-name-resolve',
];

/** What a restored server needs until its user has decided otherwise; all else is as MySQL has it by itself. */
const PLAIN = [
  '--gtid-mode=ON',
  '--enforce-gtid-consistency=ON',
  '--event-scheduler=OFF',
  '--skip-replica-start',
  '--persisted-globals-load=OFF',
  '--loose-group-replication-start-on-boot=OFF',
];

/** Options of the server that runs on after the replay, where it may be started anew for that. */
export function plainOptions({ lowerCaseTableNames }: Tuning): string[] {
  return [...PLAIN, `--lower-case-table-names=${lowerCaseTableNames}`];
}

/** The settings that these options choose. */
export const PLAIN_SETTINGS: readonly string[] = [
  'enforce_gtid_consistency',
  'event_scheduler',
  'gtid_mode',
  'persisted_globals_load',
  'skip_networking',
  'skip_replica_start',
];

/**
 * Settings of the replay that a server which runs on gets back, as `SET GLOBAL name = value`. A server that
 * starts has twice `innodb_io_capacity` as its maximum; DEFAULT is something else.
 */
export const GLOBALS_PUT_BACK: readonly (readonly [string, string])[] = [
  ['innodb_doublewrite', 'ON'],
  ['innodb_flush_log_at_trx_commit', '1'],
  ['innodb_io_capacity', 'DEFAULT'],
  ['innodb_io_capacity_max', '2 * @@GLOBAL.innodb_io_capacity'],
  ['innodb_buffer_pool_dump_at_shutdown', 'DEFAULT'],
  ['innodb_buffer_pool_size', 'DEFAULT'],
  ['innodb_redo_log_capacity', 'DEFAULT'],
  ['max_allowed_packet', 'DEFAULT'],
  ['replica_checkpoint_group', 'DEFAULT'],
  ['replica_checkpoint_period', 'DEFAULT'],
  ['replica_max_allowed_packet', 'DEFAULT'],
  ['replica_net_timeout', 'DEFAULT'],
  ['replica_parallel_workers', 'DEFAULT'],
  ['replica_pending_jobs_size_max', 'DEFAULT'],
  ['replica_preserve_commit_order', 'DEFAULT'],
  ['sync_relay_log', 'DEFAULT'],
  ['sync_relay_log_info', 'DEFAULT'],
  ['sync_source_info', 'DEFAULT'],
];

/** Settings of the replay that no running server can change. */
export const SETTINGS_LEFT: readonly string[] = [
  ...PLAIN_SETTINGS,
  'innodb_buffer_pool_load_at_startup',
  'log_bin',
  'log_replica_updates',
  'performance_schema',
  'relay_log',
  'relay_log_recovery',
  'relay_log_space_limit',
  'replica_load_tmpdir',
  'skip_name_resolve',
  'tmpdir',
];
