import type { ArchiveLag } from './archive-lag.ts';
import type { HandoffLimits } from './handoff-facts.ts';

/** What a watch knows of a source from one look to the next. Plain JSON; times are milliseconds since 1970. */
export interface Watched {
  /** The server that is archived; null where no catalog names one yet. */
  readonly serverUuid: string | null;
  /** Since when no look has found it; null while it is there. */
  readonly failingSinceMs: number | null;
  /** The oldest log that waits, by its first commit, and since when it is the same; null where none waits. */
  readonly stuck: { readonly log: string; readonly sinceMs: number } | null;
}

export interface WatchLook {
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly reach: 'reachable' | 'unreachable';
  /** Null where this look did not ask for it. */
  readonly lag: ArchiveLag | null;
}

export type WatchFinding =
  | { readonly kind: 'well' }
  | { readonly kind: 'unreachable'; readonly sinceMs: number }
  /** The same log waits for longer than the limit: archiving does not get on. */
  | { readonly kind: 'lag'; readonly sinceMs: number };

/**
 * Judges one look at the archived source. A backlog that gets smaller is no failure: only a log that
 * stays the oldest one for longer than the limit is.
 */
export function judgeWatch(
  known: Watched,
  { startedAtMs, nowMs, reach, lag }: WatchLook,
  limits: HandoffLimits,
): { readonly finding: WatchFinding; readonly known: Watched } {
  if (reach === 'unreachable') {
    const sinceMs = known.failingSinceMs ?? startedAtMs;
    const isFailed = nowMs - sinceMs >= limits.unreachableSeconds * 1000;
    const finding: WatchFinding = isFailed ? { kind: 'unreachable', sinceMs } : { kind: 'well' };
    return { finding, known: { ...known, failingSinceMs: sinceMs } };
  }
  const stuck = lag === null ? known.stuck : stuckBy(known, lag, nowMs);
  const now: Watched = { ...known, failingSinceMs: null, stuck };
  const isStuck = stuck !== null && nowMs - stuck.sinceMs > limits.lagSeconds * 1000;
  const finding: WatchFinding = isStuck ? { kind: 'lag', sinceMs: stuck.sinceMs } : { kind: 'well' };
  return { finding, known: now };
}

function stuckBy({ stuck }: Watched, { since }: ArchiveLag, nowMs: number): Watched['stuck'] {
  if (since === null) return null;
  return stuck?.log === since ? stuck : { log: since, sinceMs: nowMs };
}
