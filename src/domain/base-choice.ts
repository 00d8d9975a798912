import type { Boundary } from './boundary.ts';
import { GtidSet } from './gtid-set.ts';
import { foreignGtids, homeOf, nearestOfBackup, newestFirst, oldestBackup } from './plan-backups.ts';
import type { CatalogBackup, PlanRequest } from './plan-facts.ts';
import { loggedBefore, type Timeline, type TimelineSegment } from './plan-timeline.ts';
import type { PlanReason } from './restore-plan.ts';
import { parseInstant } from './time.ts';

/** A base from which the target can be reached, by its GTIDs. */
export interface BaseCandidate {
  readonly entry: CatalogBackup;
  readonly gtids: GtidSet;
  /** Its GTIDs that no log of the timeline ever held. */
  readonly foreign: GtidSet;
  /** The segment in which it lies; null where that is not archived. */
  readonly home: TimelineSegment | null;
  /** The segment that it holds in part: its home, or of a replica's base one with temporary tables; null where none is known. */
  readonly split: TimelineSegment | null;
}

export type BaseChoice =
  | { readonly kind: 'chosen'; readonly base: BaseCandidate }
  | { readonly kind: 'none'; readonly reason: PlanReason };

/**
 * Before the first archived transaction, times of commit are not known: a base that was finished
 * at or before the target is then the only proof that all in it was committed in time.
 */
function inTime(entry: CatalogBackup, boundary: Boundary, request: PlanRequest): boolean {
  if (request.target.kind !== 'time' || !boundary.beforeArchive) return true;
  return parseInstant(entry.backup.finishedAt) <= request.target.atMicros;
}

function candidate(
  line: Timeline,
  entry: CatalogBackup,
  prefix: GtidSet,
  logged: GtidSet,
): BaseCandidate | null {
  const gtids = GtidSet.parse(entry.backup.coordinates.gtidExecuted);
  const foreign = foreignGtids(line, entry, logged);
  if (foreign === null) return null;
  const home = homeOf(line, entry);
  if (!gtids.subtract(foreign).isSubsetOf(prefix)) return null;
  return { entry, gtids, foreign, home, split: home ?? splitAmongTemporaryTables(line, gtids) };
}

function splitAmongTemporaryTables(line: Timeline, base: GtidSet): TimelineSegment | null {
  const isSplit = ({ facts, gtids }: TimelineSegment): boolean =>
    facts.temporaryTables > 0 && !gtids.isSubsetOf(base) && !gtids.intersect(base).isEmpty;
  return line.segments.find(isSplit) ?? null;
}

/**
 * True where replay would begin inside a file that creates temporary tables: one may be open at
 * the base, and the base holds none.
 */
export function beginsAmongTemporaryTables({ split, gtids }: BaseCandidate): boolean {
  return split !== null && split.facts.temporaryTables > 0 && !split.gtids.isSubsetOf(gtids);
}

/**
 * Chooses the newest base that holds nothing behind the target. Among those, one that holds no
 * skipped transaction and does not lie among temporary tables goes first: the plan would be
 * refused with the others. `prefix` is all that was logged up to the target.
 */
export function chooseBase(
  line: Timeline,
  everyBackup: readonly CatalogBackup[],
  boundary: Boundary,
  prefix: GtidSet,
  request: PlanRequest,
): BaseChoice {
  const oldest = oldestBackup(line.backups);
  if (oldest === null) {
    const oldestBackupId = oldestBackup(everyBackup)?.backup.backupId ?? null;
    return { kind: 'none', reason: { code: 'no-base', oldestBackup: oldestBackupId } };
  }
  const logged = loggedBefore(line, line.segments.length);
  const usable = newestFirst(line.backups)
    .filter((entry) => inTime(entry, boundary, request))
    .map((entry) => candidate(line, entry, prefix, logged))
    .filter((found) => found !== null);
  const unskipped = usable.filter(({ gtids }) => gtids.intersect(request.skip).isEmpty);
  const base = unskipped.find((found) => !beginsAmongTemporaryTables(found)) ?? unskipped[0] ?? usable[0];
  if (base !== undefined) return { kind: 'chosen', base };
  const { backupId, finishedAt } = oldest.backup;
  const nearestTarget = nearestOfBackup(line, oldest);
  return { kind: 'none', reason: { code: 'before-oldest-backup', backupId, finishedAt, nearestTarget } };
}
