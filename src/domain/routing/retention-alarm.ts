/** One log of SHOW BINARY LOGS, oldest first in lists; the last one is open. Plain JSON. */
export interface RetainedLog {
  readonly binlog: string;
  readonly sizeBytes: number;
  /**
   * When it was last written, milliseconds since 1970: its file's time, or when the log behind it was
   * created. The server purges by that. null where nobody knows.
   */
  readonly lastWrittenAtMs: number | null;
  /** `staged`: a link keeps its bytes, whatever the server purges. */
  readonly stands: 'archived' | 'staged' | 'only-on-server';
}

export interface RetentionFacts {
  readonly logs: readonly RetainedLog[];
  /** `binlog_expire_logs_seconds`; 0: the server purges nothing by itself. */
  readonly expireSeconds: number;
  /** `binlog_expire_logs_auto_purge`. */
  readonly autoPurge: 'ON' | 'OFF';
  readonly nowMs: number;
}

/** How close the server is to purging a closed log that is not archived. Plain JSON. */
export type RetentionAlarm =
  /** No closed log waits to be archived. */
  | { readonly level: 'none'; readonly reason: 'all-archived' }
  /** Logs wait, but the server purges nothing by itself. */
  | {
      readonly level: 'none';
      readonly reason: 'no-purge';
      readonly binlog: string;
      readonly atRisk: LogsAtRisk;
    }
  | {
      readonly level: 'none' | 'warning' | 'critical';
      readonly reason: 'counting-down';
      /** The oldest closed log that is neither archived nor staged, or, without one, not archived. */
      readonly binlog: string;
      /** Whole minutes until the server may purge it, rounded down; 0: at its next rotation. */
      readonly minutesLeft: number;
      readonly atRisk: LogsAtRisk;
    };

/** All closed logs that are not archived. */
export interface LogsAtRisk {
  readonly logs: number;
  readonly bytes: number;
  /** How many of them a link in the staging folder keeps. */
  readonly staged: number;
}

const DAY_MS = 86_400_000;

/** A log that waits so long to be archived raises a warning: a quarter of the retention, at most a day. */
function warnsAfterMs(retentionMs: number): number {
  return Math.min(retentionMs / 4, DAY_MS);
}

/** With so much left at most, the alarm is critical: half of the retention, at most three days. */
function criticalBelowMs(retentionMs: number): number {
  return Math.min(retentionMs / 2, 3 * DAY_MS);
}

/**
 * Says how long the server still keeps the oldest closed log that is not archived. It fires long
 * before: as soon as that log has used a quarter of the server's retention (or waits for a day). A log
 * of unknown age counts as being as old as the retention allows, if no younger one before it proves
 * otherwise. Staged logs are safe from the purge, so they never make it critical.
 */
export function retentionAlarm({ logs, expireSeconds, autoPurge, nowMs }: RetentionFacts): RetentionAlarm {
  const waiting = logs.slice(0, -1).filter(({ stands }) => stands !== 'archived');
  const exposed = waiting.find(({ stands }) => stands === 'only-on-server');
  const oldest = exposed ?? waiting[0];
  if (oldest === undefined) return { level: 'none', reason: 'all-archived' };
  const { binlog } = oldest;
  const atRisk: LogsAtRisk = {
    logs: waiting.length,
    bytes: waiting.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    staged: waiting.filter(({ stands }) => stands === 'staged').length,
  };
  if (expireSeconds === 0 || autoPurge === 'OFF')
    return { level: 'none', reason: 'no-purge', binlog, atRisk };
  const retentionMs = expireSeconds * 1000;
  const waitedMs = Math.max(0, nowMs - lastWritten(logs, oldest, nowMs - retentionMs));
  const leftMs = Math.max(0, retentionMs - waitedMs);
  const minutesLeft = Math.floor(leftMs / 60_000);
  return {
    level: levelOf(waitedMs, leftMs, retentionMs, exposed),
    reason: 'counting-down',
    binlog,
    minutesLeft,
    atRisk,
  };
}

function levelOf(
  waitedMs: number,
  leftMs: number,
  retentionMs: number,
  exposed: RetainedLog | undefined,
): 'none' | 'warning' | 'critical' {
  if (exposed !== undefined && leftMs <= criticalBelowMs(retentionMs)) return 'critical';
  return waitedMs >= warnsAfterMs(retentionMs) ? 'warning' : 'none';
}

/** When a log was last written: its own time, or no earlier than that of the nearest log before it. */
function lastWritten(logs: readonly RetainedLog[], log: RetainedLog, otherwiseMs: number): number {
  const upTo = logs.slice(0, logs.indexOf(log) + 1);
  return upTo.findLast(({ lastWrittenAtMs }) => lastWrittenAtMs !== null)?.lastWrittenAtMs ?? otherwiseMs;
}
