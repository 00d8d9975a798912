import { GtidSet } from './gtid-set.ts';
import type { CatalogBackup } from './plan-facts.ts';
import type { Timeline, TimelineSegment } from './plan-timeline.ts';
import { parseInstant } from './time.ts';

/** Newest first; of the same time, the higher id first. */
export function newestFirst(backups: readonly CatalogBackup[]): CatalogBackup[] {
  return [...backups].sort((a, b) => {
    const [x, y] = [parseInstant(a.backup.finishedAt), parseInstant(b.backup.finishedAt)];
    if (x !== y) return x > y ? -1 : 1;
    return a.backup.backupId > b.backup.backupId ? -1 : 1;
  });
}

/** The backup that finished first; null where there is none. */
export function oldestBackup(backups: readonly CatalogBackup[]): CatalogBackup | null {
  return newestFirst(backups).at(-1) ?? null;
}

/** The archived segment in which a backup's coordinates lie; null where its binlog is not archived. */
export function homeOf(line: Timeline, { backup }: CatalogBackup): TimelineSegment | null {
  const { serverUuid, coordinates } = backup;
  return (
    line.segments.find(
      ({ facts }) =>
        facts.serverUuid === serverUuid &&
        facts.binlog === coordinates.binlog &&
        coordinates.position <= facts.lengthBytes,
    ) ?? null
  );
}

/** The state of a backup itself, as a target; null where its binlog is not archived. */
export function nearestOfBackup(line: Timeline, entry: CatalogBackup): string | null {
  if (homeOf(line, entry) === null) return null;
  const { serverUuid, coordinates } = entry.backup;
  return `file:${serverUuid}/${coordinates.binlog}:${coordinates.position}`;
}

/**
 * The GTIDs of a backup that no log of its timeline ever held: a restored server has those of its
 * former life only in a table, and PREVIOUS_GTIDS leaves them out. null where they may as well
 * be transactions behind the end of the archive, because the backup's binlog is not archived.
 */
export function foreignGtids(line: Timeline, entry: CatalogBackup, logged: GtidSet): GtidSet | null {
  const foreign = GtidSet.parse(entry.backup.coordinates.gtidExecuted).subtract(logged);
  return foreign.isEmpty || homeOf(line, entry) !== null ? foreign : null;
}
