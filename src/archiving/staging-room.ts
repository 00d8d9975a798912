import { planStaging, type StagedShare } from '../domain/routing/staging-bound.ts';
import { isSettled } from './round-plan.ts';
import type { Decided, ServerView } from './server-view.ts';
import { type LogRef, stagedStem } from './staging.ts';

/** What becomes of the staging folder in this round. */
export interface StagingRoom {
  /** To be staged, oldest first. */
  readonly stage: readonly LogRef[];
  /** To be removed from it. */
  readonly release: readonly LogRef[];
  /** Stems of all that lies in it afterwards. */
  readonly lies: ReadonlySet<string>;
  /** Stems of logs that some store holds. */
  readonly held: ReadonlySet<string>;
}

/** The sealed form of a log lies beside it; it is smaller, but by how much is not known before. */
export const STAGING_FACTOR = 2;

const WORTH_STAGING = ['archive', 'start-timeline', 'gap', 'waits'];

/**
 * Decides what is staged and what is released, within a bound of bytes, over all servers of a source.
 * What waits for an operator stays where it lies, and what was given up goes. Pure.
 */
export function planRoom(
  servers: readonly ServerView[],
  decided: readonly (readonly Decided[])[],
  maxBytes: number,
): StagingRoom {
  const [view] = servers;
  const stores = view === undefined ? [] : storeIds(view);
  const logs = decided.flat().flatMap(({ ref, ...log }) => (ref === null ? [] : [{ ref, ...log }]));
  const planned = logs.filter(isPlanned);
  const plan = planStaging(
    planned.map((log) => shareOf(log, stores)),
    stores,
    maxBytes,
  );
  const stage: LogRef[] = [];
  const release = logs.filter(isGivenUp).map(({ ref }) => ref);
  const lies = new Set(
    logs.filter((log) => log.lies === 'staged' && !isGivenUp(log)).map(({ ref }) => stagedStem(ref)),
  );
  const held = new Set<string>();
  for (const [index, { kind }] of plan.decisions.entries()) {
    const log = planned[index];
    if (log === undefined) continue;
    const stem = stagedStem(log.ref);
    if (holdersOf(log, stores).length > 0) held.add(stem);
    if (kind === 'stage') {
      stage.push(log.ref);
      lies.add(stem);
    } else if ((kind === 'done' || kind === 'refill') && log.lies === 'staged') {
      release.push(log.ref);
      lies.delete(stem);
    }
  }
  return { stage, release, lies, held };
}

type Log = Decided & { readonly ref: LogRef };

/** A log that a store may still get, or has got; refused ones lie as they lie. */
function isPlanned({ decision, stands, byStore }: Log): boolean {
  if (WORTH_STAGING.includes(decision.kind)) return stands !== 'settled' || isSettled(decision);
  return isSettled(decision) || [...byStore.values()].some(isSettled);
}

function isGivenUp({ decision, stands, lies }: Log): boolean {
  return stands === 'settled' && !isSettled(decision) && lies === 'staged';
}

function shareOf(log: Log, stores: readonly string[]): StagedShare {
  return {
    binlog: stagedStem(log.ref),
    stagingBytes: log.source.sizeBytes * STAGING_FACTOR,
    lies: log.lies === 'staged' ? 'staged' : 'on-server',
    heldBy: holdersOf(log, stores),
  };
}

/** Stores that have a log, or will never get it; none where all that is known is that one passed it over. */
function holdersOf({ byStore }: Log, stores: readonly string[]): string[] {
  const settled = stores.filter((store) => isSettledIn(byStore.get(store)));
  const holds = settled.some((store) => byStore.get(store)?.kind !== 'refused');
  return holds || settled.length === stores.length ? settled : [];
}

function isSettledIn(decision: Parameters<typeof isSettled>[0] | undefined): boolean {
  return decision !== undefined && isSettled(decision);
}

/** All stores of a cluster, known or not. */
export function storeIds({ stores, followers, unknown }: ServerView): string[] {
  return [...stores.map(({ id }) => id), ...followers.map(({ id }) => id), ...unknown];
}
