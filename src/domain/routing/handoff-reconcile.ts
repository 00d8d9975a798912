import { GtidSet } from '../gtid-set.ts';
import type { ServerUuid } from '../identity.ts';
import type { CandidateReach, CurrentSource, StoreManifest } from './handoff-facts.ts';

type Candidate = Extract<CandidateReach, { kind: 'reachable' }>;
type Manifest = Extract<StoreManifest, { kind: 'read' }>;

/** What the candidate's snapshot and the catalogs are to each other. */
export interface Reconciliation {
  /** What any store that could be read covers. */
  readonly covered: GtidSet;
  readonly intersection: GtidSet;
  /** On the candidate and not in the archive: what it is to bring. */
  readonly pending: GtidSet;
  /** The next GTID of each server and tag: the lowest pending one, or the first that the archive does not cover. */
  readonly nextExpected: readonly string[];
  /** Purged from the candidate's logs and in no archive: nobody can bring it. */
  readonly gap: GtidSet;
  /** In the archive and not on the candidate. */
  readonly lacking: GtidSet;
  /** Committed on the candidate itself while it was a replica; the current source has it not. */
  readonly errant: GtidSet;
  /** Per store: what it lacks and the candidate cannot bring any more, so that another store must. */
  readonly refill: readonly { readonly store: string; readonly gtids: GtidSet }[];
}

/** Compares the snapshot of a candidate with what the catalogs cover. */
export function reconcile(
  current: CurrentSource,
  candidate: Candidate,
  manifests: readonly Manifest[],
): Reconciliation {
  const executed = GtidSet.parse(candidate.gtidExecuted);
  const purged = GtidSet.parse(candidate.gtidPurged);
  const coveredIn = manifests.map(({ store, coveredGtids }) => ({
    store,
    gtids: GtidSet.parse(coveredGtids),
  }));
  const covered = GtidSet.unionAll(coveredIn.map(({ gtids }) => gtids));
  const pending = executed.subtract(covered);
  return {
    covered,
    intersection: executed.intersect(covered),
    pending,
    nextExpected: nextExpected(executed, covered, pending),
    gap: purged.subtract(covered),
    lacking: covered.subtract(executed),
    errant: errantOf(current, candidate, executed, covered),
    refill: coveredIn
      .map(({ store, gtids }) => ({ store, gtids: purged.intersect(covered).subtract(gtids) }))
      .filter(({ gtids }) => !gtids.isEmpty),
  };
}

/**
 * Transactions that a replica committed by itself. While the current source answers, they are what it
 * lacks; when it is gone, those under the replica's own server_uuid that were never archived.
 */
function errantOf(
  current: CurrentSource,
  candidate: Candidate,
  executed: GtidSet,
  covered: GtidSet,
): GtidSet {
  if (candidate.replication.kind === 'none') return GtidSet.EMPTY;
  if (current.reach.kind === 'reachable') {
    return executed.subtract(GtidSet.parse(current.reach.gtidExecuted)).subtract(covered);
  }
  return ofServer(executed, candidate.serverUuid).subtract(covered);
}

function ofServer(set: GtidSet, serverUuid: ServerUuid): GtidSet {
  const ranges = set.ranges().filter((range) => range.startsWith(`${serverUuid}:`));
  return GtidSet.parse(ranges.join(','));
}

function nextExpected(executed: GtidSet, covered: GtidSet, pending: GtidSet): string[] {
  const next = new Map<string, string>();
  const nameOf = (uuid: string, tag: string) => (tag === '' ? uuid : `${uuid}:${tag}`);
  executed.union(covered).forEachRange((uuid, tag) => {
    next.set(nameOf(uuid, tag), `${nameOf(uuid, tag)}:${covered.next(uuid, tag)}`);
  });
  const met = new Set<string>();
  pending.forEachRange((uuid, tag, from) => {
    const name = nameOf(uuid, tag);
    if (!met.has(name)) next.set(name, `${name}:${from}`);
    met.add(name);
  });
  return [...next.values()];
}
