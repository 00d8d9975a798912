import { isCancellation, proxyActivities } from '@temporalio/workflow';
import type { HandoffHostActivities, HandoffSettings } from '../activities/handoff.ts';
import type { AppError } from '../src/domain/errors.ts';
import type { WatchFinding } from '../src/domain/routing/watch.ts';
import { describeFailure } from './archive-failures.ts';
import { hostQueue } from './queues.ts';
import { unknownSource } from './unknown-source.ts';
import type { Watch } from './watch-state.ts';

/** A worker that died is noticed after so long. */
const HEARTBEAT_SECONDS = 6;
/** A queue that nobody polls is found after so long at least; one that is only busy answers before. */
const LEAST_PATIENCE_SECONDS = 2;

/** How the archived source fails, and since when; milliseconds since 1970. */
export type Failing = Exclude<WatchFinding, { readonly kind: 'well' }>;

/** Watches a source from its own host. Returns null where all is well after some minutes. */
export async function lookAfter(
  watch: Watch,
  settings: HandoffSettings,
  source: string,
): Promise<Failing | null> {
  const host = settings.sources.find(({ id }) => id === source)?.host;
  if (host === undefined) throw unknownSource(watch.input.cluster, source, 'be watched');
  const { silentSeconds } = settings.limits;
  const { known } = watch.status;
  const waited = known.failingSinceMs === null ? 0 : Math.round((Date.now() - known.failingSinceMs) / 1000);
  const patience = Math.max(LEAST_PATIENCE_SECONDS, silentSeconds - waited);
  const { keepWatch } = proxyActivities<HandoffHostActivities>({
    taskQueue: hostQueue(host),
    startToCloseTimeout: '15 minutes',
    heartbeatTimeout: `${HEARTBEAT_SECONDS} seconds`,
    scheduleToStartTimeout: `${patience} seconds`,
    retry: { maximumAttempts: 1 },
  });
  const askedAtMs = Date.now();
  try {
    const { finding, known: seen } = await keepWatch({ cluster: watch.input.cluster, source, known });
    watch.status.known = seen;
    return finding.kind === 'well' ? null : finding;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return failed(watch, settings, askedAtMs, describeFailure(error));
  }
}

/** A host that does not answer counts as failed once it has not for the time that is configured. */
function failed(
  watch: Watch,
  { limits }: HandoffSettings,
  askedAtMs: number,
  error: AppError,
): Failing | null {
  if (error.kind !== 'unavailable') throw error;
  const { known } = watch.status;
  // A watch that ran for long and lost its worker was well until shortly before.
  const sinceMs =
    known.failingSinceMs ??
    Math.max(askedAtMs, Date.now() - (HEARTBEAT_SECONDS + limits.silentSeconds) * 1000);
  watch.status.known = { ...known, failingSinceMs: sinceMs };
  // One worker may have died and the next one be there; a second one that is lost has frozen.
  const isSure = error.code === 'WorkerGone' || known.failingSinceMs !== null;
  const isFailed = isSure && Date.now() - sinceMs >= limits.silentSeconds * 1000;
  return isFailed ? { kind: 'unreachable', sinceMs } : null;
}
