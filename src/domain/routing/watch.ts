import { assertNever } from '../errors.ts';
import type { HandoffLimits } from './handoff-facts.ts';
import type { LagSight } from './hold-up.ts';

/** What a watch knows of a source from one look to the next. Plain JSON; times are milliseconds since 1970. */
export interface Watched {
  /** The server that is archived; null where no catalog names one yet. */
  readonly serverUuid: string | null;
  /** Since when no look has found it; null while it is there. */
  readonly failingSinceMs: number | null;
  /** The oldest log that waits; null where none does. */
  readonly stuck: StuckLog | null;
  /** When the archive was handed over because of a lag, oldest first; of the last day. */
  readonly lagHandoffsMs: readonly number[];
}

/** A log that stays the oldest one that waits. */
export interface StuckLog {
  /** Its first commit. */
  readonly log: string;
  /** The last look that could tell what holds it up. */
  readonly seenAtMs: number;
  /**
   * For how long its source was to blame. Where something else is, it goes down at `FORGIVE` times the speed:
   * between two tries of a store that fails it looks as if nothing but the source were left.
   */
  readonly blamedMs: number;
}

export interface WatchLook {
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly reach: 'reachable' | 'unreachable';
  /** Null where this look did not ask for it. */
  readonly lag: LagSight | null;
}

export type WatchFinding =
  | { readonly kind: 'well' }
  | { readonly kind: 'unreachable'; readonly sinceMs: number }
  /** The same log waits for longer than the limit, and no store is to blame: archiving does not get on. */
  | { readonly kind: 'lag'; readonly sinceMs: number };

/** What a watch knows of a source before its first look. */
export function newlyWatched(
  serverUuid: string | null,
  lagHandoffsMs: Watched['lagHandoffsMs'] = [],
): Watched {
  return { serverUuid, failingSinceMs: null, stuck: null, lagHandoffsMs };
}

/** One look speaks for no longer than this: what happened in a long time without looks is not known. */
const MAX_STEP_MS = 30_000;
const FORGIVE = 2;
/** A handoff for a lag is held against the next one for so long. */
const REMEMBER_MS = 24 * 3_600_000;
/** The limit is doubled for each of them, so many times at most. */
const MAX_DOUBLINGS = 6;

/**
 * Judges one look at the archived source. A backlog that gets smaller is no failure: only a log that
 * stays the oldest one, and is held up by the source itself for longer than the limit. A slow store, or
 * one that fails, is the same for every source; a handoff would begin its transfer from zero.
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
  const stuck = lag === null ? known.stuck : stuckBy(known.stuck, lag, nowMs);
  const now: Watched = { ...known, failingSinceMs: null, stuck };
  const isBlamed = lag?.kind === 'waits' && lag.holdUp.kind === 'source' && stuck !== null;
  const isFailed = isBlamed && stuck.blamedMs > lagPatienceMs(known, nowMs, limits);
  const finding: WatchFinding = isFailed
    ? { kind: 'lag', sinceMs: nowMs - stuck.blamedMs }
    : { kind: 'well' };
  return { finding, known: now };
}

/**
 * How long a source may be to blame for one log. Each handoff for a lag doubles it for a day: where the next
 * source lags, too, the archive stays longer with each of them, instead of going to and fro.
 */
export function lagPatienceMs(
  { lagHandoffsMs }: Pick<Watched, 'lagHandoffsMs'>,
  nowMs: number,
  { lagSeconds }: Pick<HandoffLimits, 'lagSeconds'>,
): number {
  const made = remembered(lagHandoffsMs, nowMs).length;
  return lagSeconds * 1000 * 2 ** Math.min(made, MAX_DOUBLINGS);
}

/** What is known after the archive was handed over: the next source begins anew, what was learnt of lags stays. */
export function afterHandoff(
  known: Watched,
  finding: Exclude<WatchFinding['kind'], 'well'>,
  nowMs: number,
): Watched {
  const before = remembered(known.lagHandoffsMs, nowMs);
  const lagHandoffsMs = finding === 'lag' ? [...before, nowMs].slice(-MAX_DOUBLINGS) : before;
  return newlyWatched(known.serverUuid, lagHandoffsMs);
}

function remembered(lagHandoffsMs: readonly number[], nowMs: number): readonly number[] {
  return lagHandoffsMs.filter((atMs) => nowMs - atMs < REMEMBER_MS);
}

function stuckBy(before: StuckLog | null, lag: LagSight, nowMs: number): StuckLog | null {
  switch (lag.kind) {
    case 'unknown':
      return before;
    case 'none':
      return null;
    case 'waits': {
      const { log, holdUp } = lag;
      if (before?.log !== log) return { log, seenAtMs: nowMs, blamedMs: 0 };
      if (holdUp.kind === 'unknown') return before;
      const stepMs = Math.min(nowMs - before.seenAtMs, MAX_STEP_MS);
      const change = holdUp.kind === 'source' ? stepMs : -FORGIVE * stepMs;
      return { log, seenAtMs: nowMs, blamedMs: Math.max(0, before.blamedMs + change) };
    }
    default:
      return assertNever(lag);
  }
}
