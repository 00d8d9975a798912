import type { PreparedXa } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { formatXid, nameXids } from '../domain/xid.ts';
import { faultPoint } from '../process/fault.ts';
import { flushCommitted, startApplier } from '../replay/applier.ts';
import { REPLAY_CHANNEL } from '../replay/channel.ts';
import { compareXa, verifyApplied, type XaDifference } from '../replay/verify.ts';
import { applierOptions } from './applier-options.ts';
import { requireAccount } from './applier-session.ts';
import type { RestoreContext } from './context.ts';
import { readCuts } from './cuts.ts';
import type { FalloverReport } from './fallover.ts';
import { NO_FALLOVERS } from './fallover-log.ts';
import { openHomes } from './homes.ts';
import type { RestoreJob } from './job.ts';
import { secondsSince } from './plan-step.ts';
import { expectedPreparedXa, type XaSearch } from './prepared-xa.ts';
import type { BaseState } from './replay-step.ts';
import { foldEventStatuses, putEventStatusesBack } from './restore-events.ts';
import { withRestoreLock } from './restore-lock.ts';
import { foldersOf, readFallovers, readMark, requireMark, requirePlan, writeMark } from './work-folder.ts';

export interface VerifiedRestore {
  readonly gtidExecuted: string;
  /** XA transactions that are prepared at the target: part of the state, for the user to end. */
  readonly preparedXa: readonly PreparedXa[];
  /** Events whose status was put back, because the applier had disabled them. */
  readonly eventStatusesSet: number;
  /** What any step read from another store than it would have; no later step reads. */
  readonly fallovers: FalloverReport;
  readonly verifySeconds: number;
}

/**
 * Proves that the server holds exactly the planned transactions, and the XA transactions prepared that the
 * binlogs leave prepared, and puts back the statuses of events, which the applier disables. May be run again.
 * @throws conflict (GTIDs differ), corrupt (prepared XA transactions, events), refused, unavailable
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
    const wasCut = applier.origin === 'started' || (await readCuts(folder)).now === 'gone-on';
    const look = (search: XaSearch) =>
      expectedPreparedXa(homes, stored, expected, search, context.signal).then((xids) =>
        compareXa(xids, preparedXa),
      );
    requireNoDifference(await differenceOf(look, wasCut ? 'everywhere' : 'where-it-may-be'));
    const fold = await foldEventStatuses(homes, base.events, stored.plan.segments, context.signal);
    const eventStatusesSet = await putEventStatusesBack(session, fold);
    await flushCommitted(session);
    const fallovers = (await readFallovers(folder)) ?? NO_FALLOVERS;
    return { gtidExecuted, preparedXa, eventStatusesSet, fallovers, verifySeconds: secondsSince(startedAt) };
  } finally {
    await session.close();
    await homes.close();
  }
}

/**
 * A server that was never started again has lost none, so the few binlogs that the catalog names will do,
 * unless they do not explain what is there.
 */
async function differenceOf(
  look: (search: XaSearch) => Promise<XaDifference>,
  search: XaSearch,
): Promise<XaDifference> {
  const found = await look(search);
  return search === 'everywhere' || isSame(found) ? found : look('everywhere');
}

function isSame({ lost, appeared }: XaDifference): boolean {
  return lost.length === 0 && appeared.length === 0;
}

function requireNoDifference(difference: XaDifference): void {
  if (isSame(difference)) return;
  const { lost, appeared } = difference;
  const parts = [
    ...(lost.length > 0 ? [`not there: ${nameXids(lost)}`] : []),
    ...(appeared.length > 0 ? [`not to be there: ${nameXids(appeared)}`] : []),
  ];
  throw new AppError({
    code: 'PreparedXaDiffers',
    kind: 'corrupt',
    message: `The restored server does not have the XA transactions prepared that the base and the binlogs leave prepared at the target (${parts.join('; ')}), though all GTIDs are executed: it is not handed over.`,
    hint: 'Restore again. MySQL can lose some of several prepared XA transactions whenever a server is started anew, as after a crash: see to it that the mysqld of the restore is not killed, and use --keep-running.',
    facts: { missing: lost.map(formatXid), unexpected: appeared.map(formatXid) },
  });
}
