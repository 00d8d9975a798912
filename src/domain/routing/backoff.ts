/** Bounds of an exponential backoff. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/** The longest delay before try number `attempt`, from 0: base, twice base, four times base, up to the cap. */
export function backoffCeilingMs({ baseMs, capMs }: Backoff, attempt: number): number {
  return Math.min(capMs, baseMs * 2 ** attempt);
}

/**
 * Delay before try number `attempt`, from 0, with full jitter: anywhere from nothing to the ceiling,
 * so that many that failed together do not come back together. `chance` is a random number from 0
 * (included) to 1 (excluded).
 */
export function fullJitterMs(backoff: Backoff, attempt: number, chance: number): number {
  return Math.floor(chance * backoffCeilingMs(backoff, attempt));
}
