import type { Circuit } from './circuit.ts';

/** What is remembered of a store that decides on its next work. Times are milliseconds since 1970. */
export interface LaneState {
  readonly circuit: Pick<Circuit, 'kind'>;
  /** Nothing is begun for it before, because the last try failed. */
  readonly restUntilMs: number;
  /** It is not filled before, because the last fill found nothing to copy. */
  readonly nextFillMs: number;
}

/** What a look found for a store. */
export interface LaneNeeds {
  /** Where the store that has what it must be filled with stands; `none`: nothing has to come from another store. */
  readonly holder: 'reachable' | 'away' | 'none';
  /** Logs that are staged and that it lacks. */
  readonly logs: number;
}

/** The next work for a store that has nothing under way. */
export type LaneWork = 'probe' | 'fill' | 'transfer' | 'rest';

/**
 * Decides what is done next for a store. What only another store has comes first, for logs are committed in
 * order. A fill that found nothing is no reason to hold logs back: it may have been begun on a look that was
 * older than the fill before it. Pure.
 */
export function laneWork(
  { circuit, restUntilMs, nextFillMs }: LaneState,
  { holder, logs }: LaneNeeds,
  nowMs: number,
): LaneWork {
  if (circuit.kind !== 'closed') return 'probe';
  if (nowMs < restUntilMs) return 'rest';
  if (holder === 'reachable') return nowMs < nextFillMs ? 'rest' : 'fill';
  return logs > 0 ? 'transfer' : 'rest';
}
