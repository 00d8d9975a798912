import type { SourceConfig } from '../../config/types.ts';
import type { BinlogScope } from '../../mysql/binlog-scope.ts';
import type { ServerFacts } from '../../mysql/facts.ts';
import { formatSeconds } from '../words.ts';
import { type CheckFinding, failed, ok, warning } from './finding.ts';

/** Below this a short outage of archiving already loses binlogs. */
const SHORT_RETENTION_SECONDS = 86_400;

/** Judges a server's settings: can its binlogs be archived, and restored to a transaction. Pure. */
export function judgeSettings(part: string, facts: ServerFacts, mode: SourceConfig['mode']): CheckFinding[] {
  return [...judgeNeeded(part, facts), judgeEncryption(part, facts, mode), ...judgeQuality(part, facts)];
}

/** Judges whether all that a server commits is in its binlogs, and stays there: what does not, no archive can bring back. Pure. */
export function judgeScope(part: string, facts: ServerFacts, scope: BinlogScope): CheckFinding[] {
  const findings: CheckFinding[] = [];
  const filters = [
    ...(scope.onlyDatabases === '' ? [] : [`binlog_do_db is ${scope.onlyDatabases}`]),
    ...(scope.ignoredDatabases === '' ? [] : [`binlog_ignore_db is ${scope.ignoredDatabases}`]),
  ];
  if (filters.length > 0) {
    const message = `${filters.join(', ')}: what is committed elsewhere is in no binlog, so it is restored only as far as a base backup has it.`;
    findings.push(
      failed(part, 'BinlogFiltered', 'refused', message, 'Start the server without these filters.'),
    );
  }
  if (scope.onBinlogError !== 'ABORT_SERVER') {
    const message = `binlog_error_action is ${scope.onBinlogError}: where its binlog cannot be written, the server goes on without one, and what it commits then cannot be restored.`;
    findings.push(warning(part, message, 'SET PERSIST binlog_error_action=ABORT_SERVER'));
  }
  return [
    ...findings,
    ...(scope.role === 'replica' ? judgeReplica(part, scope) : []),
    judgeRetention(part, facts, scope),
  ];
}

function judgeReplica(part: string, scope: BinlogScope): CheckFinding[] {
  if (!scope.logReplicaUpdates) {
    const message =
      'it is a replica and log_replica_updates is OFF: what it applies is not in its binlogs, so an archive of it lacks nearly everything.';
    return [
      failed(part, 'ReplicaUpdatesNotLogged', 'refused', message, 'Start it with log_replica_updates=ON.'),
    ];
  }
  if (scope.preserveCommitOrder) return [ok(part, 'it is a replica, and logs what it applies, in order')];
  const message =
    'it is a replica and replica_preserve_commit_order is OFF: the order in its binlogs may be another than its source had, so a point in time may be a state that never was.';
  return [warning(part, message, 'SET PERSIST replica_preserve_commit_order=ON')];
}

function judgeNeeded(part: string, facts: ServerFacts): CheckFinding[] {
  const findings: CheckFinding[] = [];
  const need = (isRight: boolean, right: string, code: string, wrong: string, hint: string) =>
    findings.push(isRight ? ok(part, right) : failed(part, code, 'refused', wrong, hint));
  need(
    facts.logBin,
    'log_bin is ON',
    'LogBinOff',
    'log_bin is OFF: the server writes no binlog, so nothing can be archived.',
    'Start it with log_bin.',
  );
  need(
    facts.gtidMode === 'ON',
    'gtid_mode is ON',
    'GtidModeOff',
    `gtid_mode is ${facts.gtidMode}: transactions have no names, so they cannot be proven complete and are not archived.`,
    'SET GLOBAL enforce_gtid_consistency=ON; then step gtid_mode to ON, as the manual describes, without a restart.',
  );
  need(
    facts.enforceGtidConsistency === 'ON',
    'enforce_gtid_consistency is ON',
    'GtidConsistencyOff',
    `enforce_gtid_consistency is ${facts.enforceGtidConsistency}: statements may be logged that no GTID covers.`,
    'SET PERSIST enforce_gtid_consistency=ON',
  );
  return findings;
}

function judgeEncryption(
  part: string,
  { binlogEncryption }: ServerFacts,
  mode: SourceConfig['mode'],
): CheckFinding {
  if (mode === 'remote') {
    const setting = binlogEncryption ? 'ON' : 'OFF';
    return ok(part, `binlog_encryption is ${setting}: read as a replica, either is right`);
  }
  if (!binlogEncryption) return ok(part, 'binlog_encryption is OFF: the files can be read on disk');
  return failed(
    part,
    'BinlogEncrypted',
    'refused',
    'binlog_encryption is ON: the files on disk cannot be read, so they cannot be archived from the host.',
    'Set mode: remote for this source; or SET PERSIST binlog_encryption=OFF, for what is archived is encrypted by pitrail.',
  );
}

/** After how long the server purges a closed binlog by itself; 0 where it never does. */
export function retentionSeconds(facts: ServerFacts, { purgesByAge }: BinlogScope): number {
  return purgesByAge ? facts.binlogExpireLogsSeconds : 0;
}

function judgeRetention(part: string, facts: ServerFacts, scope: BinlogScope): CheckFinding {
  const seconds = retentionSeconds(facts, scope);
  if (seconds === 0) return ok(part, 'binlogs are never purged by age');
  const kept = `binlogs are purged after ${formatSeconds(seconds)} (binlog_expire_logs_seconds)`;
  if (seconds >= SHORT_RETENTION_SECONDS) return ok(part, kept);
  return warning(
    part,
    `${kept}: an outage of archiving that lasts longer loses transactions.`,
    'SET PERSIST binlog_expire_logs_seconds=604800',
  );
}

function judgeQuality(part: string, facts: ServerFacts): CheckFinding[] {
  const findings: CheckFinding[] = [];
  const like = (isRight: boolean, right: string, wrong: string, hint: string) =>
    findings.push(isRight ? ok(part, right) : warning(part, wrong, hint));
  like(
    facts.binlogFormat === 'ROW',
    'binlog_format is ROW',
    `binlog_format is ${facts.binlogFormat}: statements that are not deterministic may restore to other rows.`,
    'SET PERSIST binlog_format=ROW',
  );
  like(
    facts.binlogRowImage === 'FULL',
    'binlog_row_image is FULL',
    `binlog_row_image is ${facts.binlogRowImage}: rows are found again by their key only.`,
    'SET PERSIST binlog_row_image=FULL',
  );
  like(
    facts.binlogChecksum === 'CRC32',
    'binlog_checksum is CRC32',
    'binlog_checksum is NONE: a damaged event in a binlog may go unseen.',
    'SET PERSIST binlog_checksum=CRC32',
  );
  like(
    facts.syncBinlog === 1 && facts.flushLogAtTrxCommit === 1,
    'every commit is on disk before it is acknowledged',
    `sync_binlog is ${facts.syncBinlog} and innodb_flush_log_at_trx_commit is ${facts.flushLogAtTrxCommit}: a crash of the host can lose acknowledged transactions before they are archived.`,
    'SET PERSIST sync_binlog=1; SET PERSIST innodb_flush_log_at_trx_commit=1',
  );
  return findings;
}
