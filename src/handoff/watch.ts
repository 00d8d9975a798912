import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerContext } from '../archiving/resources.ts';
import type { ArchiveLag } from '../domain/routing/archive-lag.ts';
import type { HandoffLimits } from '../domain/routing/handoff-facts.ts';
import { type HoldUp, lagSight } from '../domain/routing/hold-up.ts';
import { judgeWatch, type Watched, type WatchFinding } from '../domain/routing/watch.ts';
import { lookAt } from './look.ts';

export type { Watched } from '../domain/routing/watch.ts';

/** How often the server is asked whether it is there, and how far the archive is behind it. */
const LOOK_EVERY_MS = 1_000;
const LAG_EVERY_MS = 10_000;
/** One watch ends after so long, so that its workflow sees that it goes on. */
const WATCH_MS = 5 * 60_000;

/** How a watch ended. Plain JSON. */
export type WatchReport = {
  readonly finding: WatchFinding;
  /** What the next watch goes on with. */
  readonly known: Watched;
};

export interface WatchOptions {
  readonly server: ServerContext;
  /** Null where it is not known. */
  readonly readLag: () => Promise<ArchiveLag | null>;
  /** Asks the workflow that archives the source what keeps a log from being archived. */
  readonly readHoldUp: () => Promise<HoldUp>;
  readonly limits: HandoffLimits;
  readonly known: Watched;
  readonly signal: AbortSignal;
}

/** Watches a source until it counts as failed, some minutes have passed, or the signal ends it. */
export async function keepWatch(options: WatchOptions): Promise<WatchReport> {
  const endsAt = Date.now() + WATCH_MS;
  let { known } = options;
  let lagDueAt = Date.now();
  for (;;) {
    const isLagDue = Date.now() >= lagDueAt;
    if (isLagDue) lagDueAt = Date.now() + LAG_EVERY_MS;
    const judged = await lookOnce(options, known, isLagDue ? 'with-lag' : 'reach-only');
    known = judged.known;
    if (judged.finding.kind !== 'well' || Date.now() >= endsAt) return judged;
    // A worker that shuts down says what it knows; the next one goes on.
    await sleep(LOOK_EVERY_MS, undefined, { signal: options.signal }).catch(() => undefined);
    if (options.signal.aborted) return judged;
  }
}

async function lookOnce(
  options: WatchOptions,
  known: Watched,
  depth: 'with-lag' | 'reach-only',
): Promise<WatchReport> {
  const { server, limits, readLag, readHoldUp } = options;
  const startedAtMs = Date.now();
  const look = await lookAt(server);
  const reach = look.kind === 'reachable' && isSame(known, look.serverUuid) ? 'reachable' : 'unreachable';
  const isAsked = reach === 'reachable' && depth === 'with-lag';
  const lag = isAsked ? await lagSight(await readLag(), readHoldUp) : null;
  return judgeWatch(known, { startedAtMs, nowMs: Date.now(), reach, lag }, limits);
}

/** Another server under the source's name is not the one that is archived. */
function isSame({ serverUuid }: Watched, seen: string): boolean {
  return serverUuid === null || serverUuid === seen;
}
