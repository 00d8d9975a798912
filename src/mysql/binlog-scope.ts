import type { MysqlSession } from './session.ts';

/** What decides whether all that a server commits ends up in its binlogs, and whether they stay. */
export interface BinlogScope {
  /** `replica`: it applies, or is set up to apply, what another server wrote. */
  readonly role: 'source' | 'replica';
  /** Whether a replica logs what it applies. */
  readonly logReplicaUpdates: boolean;
  /** Whether a replica logs in the order of its source. */
  readonly preserveCommitOrder: boolean;
  /** What the server does where it cannot write its binlog. */
  readonly onBinlogError: string;
  readonly purgesByAge: boolean;
  /** Databases that alone are logged, comma-separated; empty for all. */
  readonly onlyDatabases: string;
  /** Databases that are not logged, comma-separated. */
  readonly ignoredDatabases: string;
}

const VARIABLES_SQL = `SELECT @@log_replica_updates logReplicaUpdates, @@replica_preserve_commit_order preserveCommitOrder,
  @@binlog_error_action onBinlogError, @@binlog_expire_logs_auto_purge purgesByAge`;

type Row = Readonly<Record<string, string | number | null>>;

/** Reads what a server leaves out of its binlogs. Needs REPLICATION CLIENT. @throws refused, unavailable */
export async function readBinlogScope(session: MysqlSession): Promise<BinlogScope> {
  const [variables = {}] = await session.query<Row>(VARIABLES_SQL);
  const [status = {}] = await session.query<Row>('SHOW BINARY LOG STATUS');
  const channels = await session.query<Row>('SHOW REPLICA STATUS');
  return {
    role: channels.length > 0 ? 'replica' : 'source',
    logReplicaUpdates: Number(variables['logReplicaUpdates']) === 1,
    preserveCommitOrder: Number(variables['preserveCommitOrder']) === 1,
    onBinlogError: String(variables['onBinlogError']),
    purgesByAge: Number(variables['purgesByAge']) === 1,
    onlyDatabases: String(status['Binlog_Do_DB'] ?? ''),
    ignoredDatabases: String(status['Binlog_Ignore_DB'] ?? ''),
  };
}
