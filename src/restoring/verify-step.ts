import type { PreparedXa } from '../domain/catalog-entry.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { faultPoint } from '../process/fault.ts';
import { flushCommitted, startApplier } from '../replay/applier.ts';
import { REPLAY_CHANNEL } from '../replay/channel.ts';
import { verifyApplied } from '../replay/verify.ts';
import { applierOptions } from './applier-options.ts';
import { requireAccount } from './applier-session.ts';
import type { RestoreContext } from './context.ts';
import { openHomes } from './homes.ts';
import type { RestoreJob } from './job.ts';
import { secondsSince } from './plan-step.ts';
import type { BaseState } from './replay-step.ts';
import { foldEventStatuses, putEventStatusesBack } from './restore-events.ts';
import { withRestoreLock } from './restore-lock.ts';
import { foldersOf, readMark, requireMark, requirePlan, writeMark } from './work-folder.ts';

export interface VerifiedRestore {
  readonly gtidExecuted: string;
  /** XA transactions that are prepared at the target: part of the state, for the user to end. */
  readonly preparedXa: readonly PreparedXa[];
  /** Events whose status was put back, because the applier had disabled them. */
  readonly eventStatusesSet: number;
  readonly verifySeconds: number;
}

/**
 * Proves that the server holds exactly the planned transactions, and puts back the statuses of events,
 * which the applier disables. May be run again.
 * @throws conflict (GTIDs differ), corrupt (events), refused, unavailable
 */
export function verifyStep(context: RestoreContext, job: RestoreJob): Promise<VerifiedRestore> {
  return withRestoreLock(job.targetDir, async () => {
    const folder = foldersOf(job);
    const done = await readMark<VerifiedRestore>(folder, 'verified');
    if (done !== undefined) return done;
    const verified = await verify(context, job);
    faultPoint('restore.verified');
    await writeMark(folder, 'verified', verified);
    return verified;
  });
}

async function verify(context: RestoreContext, job: RestoreJob): Promise<VerifiedRestore> {
  const startedAt = performance.now();
  const stored = await requirePlan(job);
  const folder = foldersOf(job);
  await requireMark(folder, 'replayed');
  const base = await requireMark<BaseState>(folder, 'base-state');
  const homes = await openHomes(context.cluster, stored);
  const applier = await requireAccount(await startApplier(await applierOptions(context, stored, folder)));
  const session = await applier.connect();
  try {
    const expected = GtidSet.parse(stored.plan.expectedGtids);
    const { gtidExecuted, preparedXa } = await verifyApplied(session, REPLAY_CHANNEL, expected);
    const fold = await foldEventStatuses(homes, base.events, stored.plan.segments, context.signal);
    const eventStatusesSet = await putEventStatusesBack(session, fold);
    await flushCommitted(session);
    return { gtidExecuted, preparedXa, eventStatusesSet, verifySeconds: secondsSince(startedAt) };
  } finally {
    await session.close();
    await homes.close();
  }
}
