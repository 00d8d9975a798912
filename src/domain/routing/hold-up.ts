import type { ArchiveLag } from './archive-lag.ts';
import type { Circuit } from './circuit.ts';
import { effectivePolicies, type StandIn } from './store-handoff.ts';
import type { RoutedStore } from './store-policy.ts';

/** What the workflow that archives a source says of itself. Plain JSON. */
export interface ArchivingFacts {
  readonly mode: 'running' | 'paused';
  readonly stores: readonly (RoutedStore & {
    readonly circuit: Circuit;
    /** Why it gets nothing although it is reached; null where it does. */
    readonly failure: { readonly code: string } | null;
    /** What is under way for it. */
    readonly work: 'transfer' | 'fill' | 'probe' | 'none';
  })[];
  readonly standIns: readonly StandIn[];
}

/** What keeps the oldest log that waits from being archived. */
export type HoldUp =
  /** Nothing but its source, or the host of that. */
  | { readonly kind: 'source' }
  /** An operator has paused archiving. */
  | { readonly kind: 'paused' }
  /** A store that counts fails, or refuses what is sent. */
  | { readonly kind: 'store-fails'; readonly store: string }
  /** Bytes go to a store that counts. A transfer in which nothing moves ends by itself, as a failure of the store. */
  | { readonly kind: 'store-receives'; readonly store: string }
  /** The workflow did not say. */
  | { readonly kind: 'unknown' };

/** What a look has found of the lag. */
export type LagSight =
  /** The logs of the source, or a store that counts, could not be read, or the age of what waits is not known. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'none' }
  /** The oldest log that waits, by its first commit. */
  | { readonly kind: 'waits'; readonly log: string; readonly holdUp: HoldUp };

/** Tells what holds archiving up. A store that nobody waits for holds up nothing. */
export function holdUpOf({ mode, stores, standIns }: ArchivingFacts): HoldUp {
  if (mode === 'paused') return { kind: 'paused' };
  const counting = effectivePolicies(stores, standIns).filter(({ policy }) => policy === 'required');
  const failing = counting.find(
    ({ circuit, failure }) => circuit.kind !== 'closed' || circuit.failuresInRow > 0 || failure !== null,
  );
  if (failing !== undefined) return { kind: 'store-fails', store: failing.store };
  const receiving = counting.find(({ work }) => work === 'transfer' || work === 'fill');
  return receiving === undefined ? { kind: 'source' } : { kind: 'store-receives', store: receiving.store };
}

/** What a lag looks like from the archive; what holds it up is asked for only where something waits. */
export async function lagSight(lag: ArchiveLag | null, readHoldUp: () => Promise<HoldUp>): Promise<LagSight> {
  if (lag === null) return { kind: 'unknown' };
  if (lag.transactions === 0) return { kind: 'none' };
  return lag.since === null
    ? { kind: 'unknown' }
    : { kind: 'waits', log: lag.since, holdUp: await readHoldUp() };
}
