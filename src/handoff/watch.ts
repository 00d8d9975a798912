import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerContext } from '../archiving/resources.ts';
import { assertNever } from '../domain/errors.ts';
import type { HandoffLimits } from '../domain/routing/handoff-facts.ts';
import { judgeWatch, type Watched, type WatchFinding } from '../domain/routing/watch.ts';
import type { CurrentLag } from './current-lag.ts';
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
  readonly readLag: () => Promise<CurrentLag>;
  /** Whether archiving of the source is paused on purpose. */
  readonly isPaused: () => Promise<boolean>;
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
  const { server, limits } = options;
  const startedAtMs = Date.now();
  const look = await lookAt(server);
  const reach = look.kind === 'reachable' && isSame(known, look.serverUuid) ? 'reachable' : 'unreachable';
  const lag = reach === 'reachable' && depth === 'with-lag' ? await options.readLag() : null;
  const judged = judgeWatch(known, { startedAtMs, nowMs: Date.now(), reach, lag }, limits);
  switch (judged.finding.kind) {
    case 'well':
    case 'unreachable':
      return judged;
    case 'lag':
      return (await options.isPaused()) ? { finding: { kind: 'well' }, known: judged.known } : judged;
    default:
      return assertNever(judged.finding);
  }
}

/** Another server under the source's name is not the one that is archived. */
function isSame({ serverUuid }: Watched, seen: string): boolean {
  return serverUuid === null || serverUuid === seen;
}
