import { viewOf } from '../catalog/view.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { compareCatalogs } from '../domain/routing/compare.ts';
import { type RetentionAlarm, retentionAlarm } from '../domain/routing/retention-alarm.ts';
import { boundariesOf, mergeBoundaries, type StoreBoundary } from '../domain/routing/store-boundaries.ts';
import type { StandIn } from '../domain/routing/store-handoff.ts';
import { archivedThroughOf } from './decide-round.ts';
import type { Discovery, StoreStanding } from './discovery.ts';
import { wouldFill } from './fills.ts';
import { standInsOfAll } from './hold.ts';
import { refOf } from './log-order.ts';
import type { KnownStore, RoundDecision, SourceView } from './server-view.ts';
import { stagedStem } from './staging.ts';

/** How each store stands, in the order in which they were read. Pure. */
export function standingsOf({ present, reads }: SourceView, needs: RoundDecision['stores']): StoreStanding[] {
  const known = [...present.stores, ...present.followers];
  return reads.map(({ store, status, failure }) => {
    const state = known.find(({ id }) => id === store)?.state;
    const need = needs.find((it) => it.store === store);
    const through = state === undefined ? null : archivedThroughOf(state, present.serverUuid);
    return {
      store,
      status,
      failure,
      epoch: state?.epoch ?? null,
      coveredGtids: state === undefined ? null : coveredBy({ state }).toString(),
      givenUpGtids: state === undefined ? null : givenUpIn({ state }).toString(),
      backlog: need?.backlog ?? { logs: 0, bytes: 0 },
      fillFrom: need?.fillFrom ?? null,
      outOfReach: need?.outOfReach ?? null,
      through: through === null ? null : { binlog: through.binlog, lastCommit: through.lastCommit },
    };
  });
}

function coveredBy({ state }: Pick<KnownStore, 'state'>): GtidSet {
  return GtidSet.unionAll(state.timelines().map(({ timeline }) => state.archivedThrough(timeline)));
}

function givenUpIn({ state }: Pick<KnownStore, 'state'>): GtidSet {
  return GtidSet.unionAll(state.acceptedGaps().map(({ missingGtids }) => GtidSet.parse(missingGtids)));
}

/** The handoffs between stores that a store lacks, or may lack where its catalog is not known. Pure. */
export function boundariesIn(
  known: readonly KnownStore[],
  unknown: readonly string[],
): readonly StoreBoundary[] {
  const least = unknown.length > 0 ? 0 : Math.min(...known.map(({ state }) => state.epoch));
  const all = known.reduce<readonly StoreBoundary[]>(
    (found, { state }) => mergeBoundaries(found, boundariesOf(state.handoffs())),
    [],
  );
  return all.filter(({ epoch }) => epoch > least);
}

/** Stand-ins as the catalogs have them, and whether the stores of each hold the same by now. Pure. */
export function standInsOf(known: readonly KnownStore[]): Pick<Discovery, 'standIns' | 'comparisons'> {
  const standIns = standInsOfAll(known.map(({ state }) => ({ handoffs: state.handoffs() })));
  return { standIns, comparisons: standIns.flatMap((standIn) => comparisonOf(standIn, known)) };
}

/**
 * Has a store filled that is back and lacks something other than logs, such as a base backup that was
 * taken meanwhile: it would not be equal by itself, and never count again. What cannot be copied keeps it
 * from nothing. Pure.
 */
export function withFills(
  standings: readonly StoreStanding[],
  comparisons: Discovery['comparisons'],
  known: readonly KnownStore[],
): readonly StoreStanding[] {
  const stateOf = (store: string) => known.find(({ id }) => id === store);
  return standings.map((standing) => {
    const other = comparisons.find(({ from, verdict }) => from === standing.store && verdict === 'different');
    const [from, to] = [stateOf(other?.to ?? ''), stateOf(standing.store)];
    if (from === undefined || to === undefined || !wouldFill(from, to)) return standing;
    return { ...standing, fillFrom: standing.fillFrom ?? from.id };
  });
}

function comparisonOf(standIn: StandIn, known: readonly KnownStore[]): Discovery['comparisons'] {
  const [from, to] = [standIn.from, standIn.to].map((store) => known.find(({ id }) => id === store));
  if (from === undefined || to === undefined) return [];
  // Comparing takes all entries; what differs at a glance is not compared.
  if (from.state.epoch !== to.state.epoch || !coveredBy(from).equals(coveredBy(to))) return [];
  const { verdict } = compareCatalogs(viewOf(from.id, from.state), viewOf(to.id, to.state));
  return [{ ...standIn, verdict }];
}

/** How long the server keeps what does not count as archived. Pure. */
export function retentionOf(
  { facts, present }: Pick<SourceView, 'facts' | 'present'>,
  { pending, lies }: Pick<RoundDecision, 'pending' | 'lies'>,
  nowMs: number,
): RetentionAlarm {
  const { serverUuid, listed } = present;
  const logs = listed.map((log, index) => {
    const ref = refOf(serverUuid, log);
    const stem = ref === null ? null : stagedStem(ref);
    const isPending = stem === null || pending.has(stem);
    const behind = listed[index + 1]?.peek?.createdAt;
    return {
      binlog: log.name,
      sizeBytes: log.sizeBytes,
      // The log behind it was begun when this one was written last.
      lastWrittenAtMs: behind === undefined ? null : Date.parse(behind),
      stands: !isPending
        ? ('archived' as const)
        : stem !== null && lies.has(stem)
          ? ('staged' as const)
          : ('only-on-server' as const),
    };
  });
  const { binlogExpireLogsSeconds: expireSeconds, binlogAutoPurge: autoPurge } = facts;
  return retentionAlarm({ logs, expireSeconds, autoPurge, nowMs });
}
