import { GtidSet } from '../gtid-set.ts';

/** One log of a server, closed or open, as its beginning tells. */
export interface LagLog {
  /** Canonical; null where the beginning cannot be read. */
  readonly previousGtids: string | null;
  /** Commit time of its first transaction, RFC 3339; null where none stands there. */
  readonly firstCommit: string | null;
}

/** How far an archive is behind its source. Plain JSON. */
export interface ArchiveLag {
  /** Executed and not covered. */
  readonly transactions: number;
  /** First commit of the oldest log with one of them, RFC 3339; null where there is none, or it is not known. */
  readonly since: string | null;
}

/**
 * Finds the oldest log of a server with a transaction that is not covered. A log is archived as a
 * whole, so its first commit is the age of what waits; where its beginning is archived from another
 * server, that is more than the true age.
 * @param logs oldest first, the open one last
 */
export function archiveLag(logs: readonly LagLog[], executed: GtidSet, covered: GtidSet): ArchiveLag {
  const missing = executed.subtract(covered);
  const transactions = Number(missing.count());
  if (missing.isEmpty) return { transactions, since: null };
  const oldest = logs.findIndex((log, index) => {
    const end = logs.slice(index + 1).find(({ previousGtids }) => previousGtids !== null)?.previousGtids;
    const before = GtidSet.parse(log.previousGtids ?? '');
    const through = end === undefined || end === null ? executed : GtidSet.parse(end);
    return !through.subtract(before).intersect(missing).isEmpty;
  });
  return { transactions, since: logs[oldest]?.firstCommit ?? null };
}

/** Age in whole seconds of what waits; 0 where nothing does, null where its age is not known. */
export function lagSeconds({ transactions, since }: ArchiveLag, nowMs: number): number | null {
  if (transactions === 0) return 0;
  return since === null ? null : Math.max(0, Math.floor((nowMs - Date.parse(since)) / 1000));
}
