import type { BackupFacts } from '../domain/catalog-entry.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { SegmentFacts } from '../domain/segment.ts';

/** A backup counts as complete only when the binlogs up to its end are archived: then a restore can go on from it. */
export type BackupCompleteness =
  | { readonly kind: 'complete' }
  | {
      readonly kind: 'waiting';
      /** The binlog in which the backup ends. */
      readonly binlog: string;
      /** Transactions of the backup that no archived binlog holds or follows; empty where only its binlog is open yet. */
      readonly missingGtids: string;
    };

type ArchivedFacts = Pick<SegmentFacts, 'serverUuid' | 'binlog' | 'lengthBytes' | 'previousGtids' | 'gtids'>;

/**
 * Decides whether the binlogs up to a backup's end are archived: its own, or where it is one of a replica, those of others
 * that brought its transactions. A replica is a server of which the timeline has no log, or none after those of others: it
 * was handed away, and none of its own comes any more. Pure.
 * @param segments of the backup's timeline, in their order
 */
export function backupCompleteness(
  backup: Pick<BackupFacts, 'serverUuid' | 'coordinates'>,
  segments: readonly ArchivedFacts[],
): BackupCompleteness {
  const { binlog, position, gtidExecuted } = backup.coordinates;
  const home = segments.some(
    (segment) =>
      segment.serverUuid === backup.serverUuid &&
      segment.binlog === binlog &&
      segment.lengthBytes >= position,
  );
  if (home) return { kind: 'complete' };
  const known = segments.flatMap(({ previousGtids, gtids }) => [previousGtids, gtids]);
  const archived = GtidSet.unionAll(known.map((set) => GtidSet.parse(set)));
  const missing = GtidSet.parse(gtidExecuted).subtract(archived);
  const last = segments.at(-1);
  const isOfReplica = last !== undefined && last.serverUuid !== backup.serverUuid;
  if (isOfReplica && missing.isEmpty) return { kind: 'complete' };
  return { kind: 'waiting', binlog, missingGtids: missing.toString() };
}
