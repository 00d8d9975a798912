import { GtidSet } from '../gtid-set.ts';
import { type CoverSegment, chainsOf, closureOf } from './cover-chain.ts';
import { cheapestSteps } from './cover-search.ts';

export interface CoverRequest {
  /** What is to be applied: with `has` a state in which the history once was. */
  readonly wanted: GtidSet;
  /** What the restored server has already. */
  readonly has: GtidSet;
  /** In the order of each chain. */
  readonly segments: readonly CoverSegment[];
  /** States that the search for the cheapest cover may look at. */
  readonly maxStates: number;
}

/** One origin file to be sent, whole but for the transactions that are filtered out by their GTIDs. */
export interface CoverStep {
  readonly segment: CoverSegment;
  readonly store: string;
  /** Never empty; no two steps send the same. */
  readonly send: GtidSet;
}

export type Cover =
  | {
      readonly kind: 'complete';
      /** In an order in which they can be applied. */
      readonly steps: readonly CoverStep[];
      readonly cost: number;
      /** `good`: complete, but the search was cut short, so a cheaper one may exist. */
      readonly proof: 'cheapest' | 'good';
    }
  | {
      readonly kind: 'incomplete';
      /** In no log that can be read. */
      readonly missing: GtidSet;
      /** In a log that can be read, but behind something that is missing. */
      readonly blocked: GtidSet;
    };

/** Servers whose orders agree have about as many states as logs. */
export const DEFAULT_MAX_STATES = 50_000;

/**
 * Chooses from the logs of any servers, in any stores, those that bring `wanted` at the least cost.
 *
 * A log can be sent when all that its server had executed before it is there, as far as it is wanted:
 * then each transaction comes after those on which it depends, whatever log brought them. So a server's
 * logs need not be sent from their beginning, and one may go on where another ends.
 */
export function coverGtids(request: CoverRequest): Cover {
  const wanted = request.wanted.subtract(request.has);
  const chains = chainsOf(request.segments, wanted);
  const reachable = closureOf(chains);
  if (!reachable.equals(wanted)) {
    const readable = request.segments.filter(({ copies }) => copies.length > 0);
    const missing = wanted.subtract(GtidSet.unionAll(readable.map(({ gtids }) => gtids)));
    return { kind: 'incomplete', missing, blocked: wanted.subtract(reachable).subtract(missing) };
  }
  const { path, proof } = cheapestSteps(chains, wanted, request.maxStates);
  let there = GtidSet.EMPTY;
  const steps = path.map(({ segment, copy, brings }): CoverStep => {
    const send = brings.subtract(there);
    there = there.union(brings);
    return { segment, store: copy.store, send };
  });
  return { kind: 'complete', steps, cost: path.reduce((sum, { copy }) => sum + copy.cost, 0), proof };
}
