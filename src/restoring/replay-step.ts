import { randomBytes } from 'node:crypto';
import type { PreparedXa } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { PlannedSegment, RestorePlan } from '../domain/restore-plan.ts';
import { readGtidExecuted, readPreparedXa } from '../mysql/facts.ts';
import { readNonTransactionalTables } from '../mysql/table-engines.ts';
import { faultPoint } from '../process/fault.ts';
import { APPLIER_DOES_NOT_START, type Applier, flushCommitted, startApplier } from '../replay/applier.ts';
import { startArchiveSource } from '../replay/archive-source.ts';
import { type ChannelFormat, REPLAY_CHANNEL } from '../replay/channel.ts';
import type { SourceSegment } from '../replay/dump-plan.ts';
import { APPLIER_FAILED, type ReplayProgress } from '../replay/progress.ts';
import { replayTo } from '../replay/replay-to.ts';
import { compareXa } from '../replay/verify.ts';
import { applierOptions } from './applier-options.ts';
import type { RestoreContext } from './context.ts';
import { beginAnew, cutShort, isCutShort, readCuts } from './cuts.ts';
import type { ClaimedFolder } from './data-folder.ts';
import { distrust } from './distrust.ts';
import type { EventState } from './event-status.ts';
import { readSegmentFrom } from './fallover.ts';
import { isFetched } from './fetch-base.ts';
import { fetchOnce } from './fetch-step.ts';
import { openHomes, type RestoreHomes } from './homes.ts';
import type { RestoreJob } from './job.ts';
import { cutJudge, holdsTemporaryTables } from './judge-cut.ts';
import { planAround } from './plan-around.ts';
import { secondsSince } from './plan-step.ts';
import { readEvents } from './restore-events.ts';
import { withRestoreLock } from './restore-lock.ts';
import { foldersOf, readMark, requirePlan, type StoredPlan, writeMark } from './work-folder.ts';

/** What is known of the base before anything is replayed onto it. */
export interface BaseState {
  readonly events: readonly EventState[];
}

export interface ReplayedRestore {
  readonly transactions: number;
  /** Times the server was started again because it had ended by itself. */
  readonly restarts: number;
  readonly replaySeconds: number;
}

const USER = 'pitrail_replay';
/** Without a transaction applied for this long, the step is given up, and tried again by whoever runs it. */
const STALL_MS = 60_000;
/** Where a test may kill this process: some transactions are applied then, and some are not. */
const MID_REPLAY_SHARE = 0.2;

/**
 * Replays the planned transactions onto the base, until `gtid_executed` is exactly what the plan says.
 * Run again, it takes over the server that it finds, and only what is not applied yet is sent; where the
 * server had ended and that lost something, it begins anew from the base.
 * @throws refused (a transaction cannot be applied), corrupt, conflict, unavailable
 */
export function replayStep(context: RestoreContext, job: RestoreJob): Promise<ReplayedRestore> {
  return withRestoreLock(job.targetDir, async () => {
    const stored = await requirePlan(job);
    const folder = foldersOf(job);
    const done = await readMark<ReplayedRestore>(folder, 'replayed');
    if (done !== undefined) return done;
    await requireBase(context, job, stored, folder);
    // The base that was fetched may be another than was planned first, and the plan with it.
    const replayed = await replayFromAny(context, await requirePlan(job), folder);
    faultPoint('restore.replayed');
    await writeMark(folder, 'replayed', replayed);
    return replayed;
  });
}

/** Where a binlog is lost in every store, what it held is replayed from binlogs of other servers, if they have it. */
async function replayFromAny(
  context: RestoreContext,
  planned: StoredPlan,
  folder: ClaimedFolder,
): Promise<ReplayedRestore> {
  const lost = new Map<string, AppError>();
  for (let stored = planned; ; ) {
    const homes = await openHomes(context.cluster, stored);
    try {
      return await replay(context, stored, folder, homes);
    } catch (error) {
      context.signal.throwIfAborted();
      const isNew = [...homes.reader.lost.keys()].some((key) => !lost.has(key));
      for (const [key, why] of homes.reader.lost) lost.set(key, why);
      const around = isNew ? await planAround(context.cluster, stored, lost) : null;
      if (around === null) throw error;
      const { now } = await readCuts(folder);
      if (now === 'begins-anew') await requireBase(context, stored.job, around, folder);
      stored = around;
    } finally {
      await homes.close();
    }
  }
}

/** Begins anew where what was replayed so far cannot be gone on with; the base is fetched once more then. */
async function requireBase(
  context: RestoreContext,
  job: RestoreJob,
  stored: StoredPlan,
  folder: ClaimedFolder,
): Promise<void> {
  const begun = (await readMark(folder, 'base-state')) !== undefined;
  const { now } = await readCuts(folder);
  if (now === 'begins-anew' || (begun && holdsTemporaryTables(stored))) await beginAnew(folder);
  if (!(await isFetched(folder))) await fetchOnce(context, job);
}

async function replay(
  context: RestoreContext,
  stored: StoredPlan,
  folder: ClaimedFolder,
  homes: RestoreHomes,
): Promise<ReplayedRestore> {
  const startedAt = performance.now();
  const { plan } = stored;
  const begun = (await readMark(folder, 'base-state')) !== undefined;
  const options = await applierOptions(context, stored, folder);
  const applier = await startApplier(options).catch(async (error: unknown) => {
    throw begun ? await blameCut(error, folder) : error;
  });
  const judge = cutJudge(context, stored, folder, homes);
  if (!begun) await rememberBase(applier, stored, folder);
  else if (applier.origin === 'started') await judge.serverEnded(applier);
  else await judge.sourceEnded(applier);
  const login = { user: USER, password: randomBytes(15).toString('hex') };
  const source = await startArchiveSource({
    segments: plan.segments.map((segment) => sourceSegment(homes, segment)),
    listen: { host: '127.0.0.1', port: 0 },
    ...login,
    // What matters of it comes back by `failure()`.
    onNotice: () => undefined,
  });
  try {
    const { progress, applier: reached } = await replayTo({
      applier,
      source,
      login,
      channel: REPLAY_CHANNEL,
      expected: GtidSet.parse(plan.expectedGtids),
      format: await firstFormat(applier, folder),
      judge,
      stallMs: STALL_MS,
      onProgress: (now) => report(context, plan, now),
      signal: context.signal,
    });
    await makeDurable(reached);
    const wrong = await distrust(null, stored, folder, homes.reader);
    if (wrong !== null) throw wrong;
    return {
      transactions: plan.transactions,
      restarts: progress.restarts,
      replaySeconds: secondsSince(startedAt),
    };
  } catch (error) {
    if (isCutShort(error)) throw error;
    throw (await distrust(error, stored, folder, homes.reader)) ?? (await blameCut(error, folder));
  } finally {
    await source.close();
  }
}

/**
 * A channel that takes rows only stands still at the first statement, and its workers with it: where that
 * may leave a transaction half applied, it takes anything from the start.
 */
async function firstFormat(applier: Applier, folder: ClaimedFolder): Promise<ChannelFormat> {
  if ((await readCuts(folder)).short > 0) return 'any';
  const session = await applier.connect();
  try {
    return (await readNonTransactionalTables(session)).length > 0 ? 'any' : 'rows-only';
  } finally {
    await session.close();
  }
}

/** What cannot be applied after a cut may be the cut's doing, and so may be a server that does not start again. */
async function blameCut(error: unknown, folder: ClaimedFolder): Promise<unknown> {
  if (!(error instanceof AppError)) return error;
  const { code, message } = error;
  if (code === APPLIER_DOES_NOT_START) return cutShort(folder, { kind: 'cannot-start', message });
  const wasCut = (await readCuts(folder)).now === 'gone-on';
  return code === APPLIER_FAILED && wasCut ? cutShort(folder, { kind: 'cannot-apply', message }) : error;
}

/**
 * The mark that follows says that all is applied, also after a kill of the server: what is committed is on
 * disk, and tables of other engines are closed, so that a kill leaves none of them marked as crashed.
 */
async function makeDurable(applier: Applier): Promise<void> {
  const session = await applier.connect();
  try {
    const tables = await readNonTransactionalTables(session);
    if (tables.length > 0) await session.run('FLUSH NO_WRITE_TO_BINLOG TABLES');
    await flushCommitted(session);
  } finally {
    await session.close();
  }
}

/** Written before the first transaction is replayed, so it always tells the base's own state. */
async function rememberBase(applier: Applier, stored: StoredPlan, folder: ClaimedFolder): Promise<void> {
  const session = await applier.connect();
  try {
    assertBase(await readGtidExecuted(session), await readPreparedXa(session), stored);
    const state: BaseState = { events: await readEvents(session) };
    await writeMark(folder, 'base-state', state);
  } finally {
    await session.close();
  }
}

function assertBase(executed: string, preparedXa: readonly PreparedXa[], { backup }: StoredPlan): void {
  const wanted = GtidSet.parse(backup.coordinates.gtidExecuted);
  if (!GtidSet.parse(executed).equals(wanted)) {
    throw notTheBase(
      `it has executed ${executed} where the backup was taken at ${wanted.toString()}`,
      backup.backupId,
    );
  }
  const { lost, appeared } = compareXa(backup.preparedXa, preparedXa);
  if (lost.length === 0 && appeared.length === 0) return;
  throw notTheBase(
    `it has ${preparedXa.length} prepared XA transactions where the backup has ${backup.preparedXa.length}`,
    backup.backupId,
  );
}

function notTheBase(what: string, backupId: string): AppError {
  return new AppError({
    code: 'BaseDiffers',
    kind: 'corrupt',
    message: `The server started on the fetched base backup ${backupId} is not what the catalog says: ${what}. Nothing was replayed onto it.`,
    hint: 'Restore from another base backup, and take a new one.',
    facts: { backupId },
  });
}

function sourceSegment(homes: RestoreHomes, segment: PlannedSegment): SourceSegment {
  const { serverUuid, binlog, lengthBytes } = segment;
  return {
    serverUuid,
    binlog,
    lengthBytes,
    send: GtidSet.parse(segment.send),
    open: (signal) => readSegmentFrom(homes.reader, segment, signal),
  };
}

/** Bytes are the plan's, in the share of transactions that are applied. */
function report(context: RestoreContext, plan: RestorePlan, now: ReplayProgress): void {
  const left = now.plannedTransactions - now.appliedTransactions;
  const totalBytes = plan.segments.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const share = plan.transactions === 0 ? 1 : (plan.transactions - left) / plan.transactions;
  context.onProgress({ doneBytes: Math.round(totalBytes * share), totalBytes });
  if (now.appliedTransactions > 0 && share >= MID_REPLAY_SHARE) faultPoint('restore.mid-replay');
}
