import type { CommitSummary } from '../activities/archive.ts';
import type { Discovery } from '../src/archiving/discovery.ts';
import type { LogRef } from '../src/archiving/staging.ts';
import { GtidSet } from '../src/domain/gtid-set.ts';
import { isArchived } from '../src/domain/routing/store-policy.ts';
import { type ArchiveEntity, ticketsOfRound } from './archive-entity.ts';
import { countingStores, recordOf, update } from './archive-records.ts';

/** Names a log among all of a source; names start anew after a reset. */
export function keyOf({ serverUuid, binlog, createdAt, firstCommit, lengthBytes }: LogRef): string {
  return [serverUuid, binlog, createdAt, firstCommit ?? '', lengthBytes].join('/');
}

/** Takes over which logs wait, as a look found them; what was committed while it looked is not forgotten. */
export function adoptWaiting(entity: ArchiveEntity, found: Pick<Discovery, 'archive' | 'backlog'>): void {
  const before = entity.waiting;
  entity.backlog = found.backlog;
  entity.waiting = new Map(
    found.archive.map(({ log, lackedBy }) => {
      const key = keyOf(log);
      const known = before.get(key);
      const lacking = lackedBy.filter((store) => !entity.committed.has(`${key} ${store}`));
      return [
        key,
        {
          log,
          lackedBy: new Set(lacking),
          stands: known?.stands ?? 'waits',
          summary: known?.summary ?? null,
        },
      ];
    }),
  );
  const counting = countingStores(entity);
  for (const waiting of entity.waiting.values()) {
    const isLacked = !isArchived(waiting.lackedBy, counting);
    // Found archived already: it was told when it was committed, perhaps by another run.
    if (!isLacked && waiting.summary === null) waiting.stands = 'archived';
    if (isLacked) waiting.stands = 'waits';
  }
  entity.committed.clear();
  for (const ticket of ticketsOfRound(entity)) {
    ticket.remaining = Math.min(ticket.remaining ?? found.backlog.logs, found.backlog.logs);
  }
}

/** Notes that a store has a log now. Returns true where no store lacks it any more, so that its files can go. */
export function noteCommitted(
  entity: ArchiveEntity,
  store: string,
  log: LogRef,
  summary: CommitSummary,
): boolean {
  const key = keyOf(log);
  entity.committed.add(`${key} ${store}`);
  const record = recordOf(entity, store);
  if (record !== undefined) {
    const { backlog, coveredGtids } = record;
    const covered = GtidSet.parse(coveredGtids ?? '').union(GtidSet.parse(summary.gtids));
    update(entity, store, {
      backlog: {
        logs: Math.max(0, backlog.logs - 1),
        bytes: Math.max(0, backlog.bytes - log.lengthBytes),
      },
      coveredGtids: coveredGtids === null ? null : covered.toString(),
      through: { binlog: summary.binlog, lastCommit: summary.lastCommit },
      failure: null,
      restUntilMs: 0,
    });
  }
  const waiting = entity.waiting.get(key);
  if (waiting === undefined) return false;
  waiting.lackedBy.delete(store);
  waiting.summary = summary;
  tellArchived(entity);
  return waiting.lackedBy.size === 0;
}

/** False where a store was given a log since the look that found it lacking: its files are gone by now. */
export function isLackedBy(entity: ArchiveEntity, store: string, log: LogRef): boolean {
  return entity.waiting.get(keyOf(log))?.lackedBy.has(store) === true;
}

/** Notes that a store needs a log no more, though it has not got it. Returns true where no store lacks it any more. */
export function noteNeedless(entity: ArchiveEntity, store: string, log: LogRef): boolean {
  const waiting = entity.waiting.get(keyOf(log));
  waiting?.lackedBy.delete(store);
  return waiting !== undefined && waiting.lackedBy.size === 0;
}

/** Counts what every store that counts has by now: after a commit, and after another store counts. */
export function tellArchived(entity: ArchiveEntity): void {
  const counting = countingStores(entity);
  for (const waiting of entity.waiting.values()) {
    const { log, lackedBy, stands, summary } = waiting;
    if (stands === 'archived' || summary === null || !isArchived(lackedBy, counting)) continue;
    waiting.stands = 'archived';
    const { serverUuid, binlog, timeline, lastCommit } = summary;
    entity.archivedThrough = { serverUuid, binlog, timeline, lastCommit };
    entity.segmentsArchived += 1;
    entity.backlog = {
      logs: Math.max(0, entity.backlog.logs - 1),
      bytes: Math.max(0, entity.backlog.bytes - log.lengthBytes),
    };
    for (const ticket of ticketsOfRound(entity)) {
      ticket.archived.push(log.binlog);
      ticket.remaining = (ticket.remaining ?? 0) - 1;
    }
  }
}
