import type { ArchiveDecision } from '../domain/archive-plan.ts';
import type { PlannedLog } from './discovery.ts';
import { fullerThan, outOfReachOf, wouldFill } from './fills.ts';
import { isSettled } from './round-plan.ts';
import type { Decided, KnownStore, ServerView, StoreNeed } from './server-view.ts';
import { stagedStem } from './staging.ts';
import { type StagingRoom, storeIds } from './staging-room.ts';

/**
 * For each log, the stores that take it now: what a store lacks goes to it from the staging folder, in
 * order and without a hole. While a store that counts is not known, the others only go on right behind
 * what they have: it may hold what comes first, and nothing could be put before it any more. Pure.
 */
export function takersOf(
  view: ServerView,
  decided: readonly Decided[],
  staging: StagingRoom,
): readonly (readonly string[])[] {
  const takers: string[][] = decided.map(() => []);
  for (const { id } of [...view.stores, ...view.followers]) {
    for (const [index, log] of decided.entries()) {
      // What cannot follow here makes the plan of this store keep back those behind it.
      if (!canFollow(log.byStore.get(id))) continue;
      if (!isTaken(log, id, staging)) break;
      if (isHalfKnown(view) && !isBehindHeld(decided, takers, index, id)) break;
      takers[index]?.push(id);
    }
  }
  return takers;
}

/** True while nothing is known of a store that counts: what the others lack may lie there. */
export function isHalfKnown({ required, unknown }: Pick<ServerView, 'required' | 'unknown'>): boolean {
  return unknown.some((store) => required.includes(store));
}

/** True where the log before, this very one, is archived in the store, or goes there now. */
function isBehindHeld(
  decided: readonly Decided[],
  takers: readonly (readonly string[])[],
  index: number,
  store: string,
): boolean {
  if (decided[index]?.byStore.get(store)?.kind !== 'archive') return false;
  const before = decided[index - 1]?.byStore.get(store)?.kind;
  return before === 'already-archived' || takers[index - 1]?.includes(store) === true;
}

function canFollow(decision: ArchiveDecision | undefined): boolean {
  return decision?.kind === 'archive' || decision?.kind === 'start-timeline';
}

function isTaken({ ref, decision, byStore }: Decided, store: string, staging: StagingRoom): boolean {
  const isDecided = canFollow(decision) || isSettled(decision);
  return ref !== null && isDecided && canFollow(byStore.get(store)) && staging.lies.has(stagedStem(ref));
}

/** True where a store wants nothing of a log any more. */
function isDone({ byStore }: Decided, store: string): boolean {
  const own = byStore.get(store);
  return own?.kind === 'refused' || (own !== undefined && isSettled(own));
}

/** What each store of a cluster lacks, and which of them another store must fill. Pure. */
export function storeNeeds(
  servers: readonly ServerView[],
  rounds: readonly { readonly decided: readonly Decided[]; readonly archive: readonly PlannedLog[] }[],
  staging: StagingRoom,
): StoreNeed[] {
  const [view] = servers;
  if (view === undefined) return [];
  const known = [...view.stores, ...view.followers];
  return storeIds(view).map((store) => {
    const own = known.find(({ id }) => id === store);
    const lacking = rounds.flatMap(({ decided }) => decided.filter((log) => isLacking(log, store)));
    return {
      store,
      backlog: {
        logs: lacking.length,
        bytes: lacking.reduce((sum, { source }) => sum + source.sizeBytes, 0),
      },
      next: lacking[0]?.source.name ?? null,
      fillFrom: own === undefined ? null : fillerOf(own, known, servers, rounds, staging),
      outOfReach: own === undefined ? null : outOfReachOf(own, known, servers),
    };
  });
}

/** True where a store lacks a log that is wanted there; one that is not known lacks all. Pure. */
export function isLacking({ byStore, stands, decision }: Decided, store: string): boolean {
  const own = byStore.get(store);
  if (own !== undefined && isSettled(own)) return false;
  return stands !== 'settled' || isSettled(decision);
}

function fillerOf(
  own: KnownStore,
  known: readonly KnownStore[],
  servers: readonly ServerView[],
  rounds: readonly { readonly decided: readonly Decided[] }[],
  staging: StagingRoom,
): string | null {
  const better = fullerThan(own, known, servers);
  if (better !== undefined) return better.id;
  for (const { decided } of rounds) {
    const next = decided.find((log) => !isDone(log, own.id));
    if (next === undefined || isTaken(next, own.id, staging)) continue;
    const holder = known.find((other) => other !== own && isHeldBy(other, next) && wouldFill(other, own));
    if (holder !== undefined) return holder.id;
  }
  return null;
}

function isHeldBy({ id }: KnownStore, { byStore }: Decided): boolean {
  const kind = byStore.get(id)?.kind;
  return kind === 'already-archived' || kind === 'recognized';
}

/**
 * Tells the stores that decide from those that follow. Where nobody waits for a store it follows; one
 * that lacks what only another store still has follows, too, until it was filled. Pure.
 *
 * @param policyOf how a store counts now
 */
export function splitStores(
  known: readonly KnownStore[],
  policyOf: (store: string) => 'required' | 'catch-up',
  isBehind: (store: KnownStore) => boolean,
): { readonly stores: readonly KnownStore[]; readonly followers: readonly KnownStore[] } {
  const required = known.filter(({ id }) => policyOf(id) === 'required');
  const candidates = [
    required.filter((store) => !isBehind(store)),
    known.filter((store) => !isBehind(store)),
    required,
  ];
  const stores = candidates.find((some) => some.length > 0) ?? known;
  return { stores, followers: known.filter((store) => !stores.includes(store)) };
}
