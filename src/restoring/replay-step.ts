import { randomBytes } from 'node:crypto';
import type { PreparedXa } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { PlannedSegment, RestorePlan } from '../domain/restore-plan.ts';
import { readGtidExecuted, readPreparedXa } from '../mysql/facts.ts';
import { faultPoint } from '../process/fault.ts';
import { type Applier, flushCommitted, startApplier } from '../replay/applier.ts';
import { startArchiveSource } from '../replay/archive-source.ts';
import { REPLAY_CHANNEL } from '../replay/channel.ts';
import type { SourceSegment } from '../replay/dump-plan.ts';
import type { ReplayProgress } from '../replay/progress.ts';
import { replayTo } from '../replay/replay-to.ts';
import { compareXa } from '../replay/verify.ts';
import { applierOptions } from './applier-options.ts';
import type { RestoreContext } from './context.ts';
import type { ClaimedFolder } from './data-folder.ts';
import type { EventState } from './event-status.ts';
import { openHomes, type RestoreHomes } from './homes.ts';
import type { RestoreJob } from './job.ts';
import { beginInOneGo, cutShort, holdsTemporaryTables } from './one-go.ts';
import { secondsSince } from './plan-step.ts';
import { readEvents } from './restore-events.ts';
import { withRestoreLock } from './restore-lock.ts';
import { readSegment } from './segment-stream.ts';
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
 * Run again, it takes over the server that it finds, and only what is not applied yet is sent.
 * @throws refused (a transaction cannot be applied), corrupt, conflict, unavailable
 */
export function replayStep(context: RestoreContext, job: RestoreJob): Promise<ReplayedRestore> {
  return withRestoreLock(job.targetDir, async () => {
    const stored = await requirePlan(job);
    const folder = foldersOf(job);
    const done = await readMark<ReplayedRestore>(folder, 'replayed');
    if (done !== undefined) return done;
    if (holdsTemporaryTables(stored)) await beginInOneGo(context, job);
    const homes = await openHomes(context.cluster, stored);
    try {
      const replayed = await replay(context, stored, folder, homes);
      faultPoint('restore.replayed');
      await writeMark(folder, 'replayed', replayed);
      return replayed;
    } finally {
      await homes.close();
    }
  });
}

async function replay(
  context: RestoreContext,
  stored: StoredPlan,
  folder: ClaimedFolder,
  homes: RestoreHomes,
): Promise<ReplayedRestore> {
  const startedAt = performance.now();
  const { plan } = stored;
  const applier = await startApplier(await applierOptions(context, stored, folder));
  await rememberBase(applier, stored, folder);
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
      stallMs: STALL_MS,
      onProgress(now) {
        if (now.restarts > 0 && holdsTemporaryTables(stored)) throw cutShort();
        report(context, plan, now);
      },
      signal: context.signal,
    });
    await makeDurable(reached);
    return {
      transactions: plan.transactions,
      restarts: progress.restarts,
      replaySeconds: secondsSince(startedAt),
    };
  } finally {
    await source.close();
  }
}

/** The mark that follows says that all is applied, also after a kill of the server. */
async function makeDurable(applier: Applier): Promise<void> {
  const session = await applier.connect();
  try {
    await flushCommitted(session);
  } finally {
    await session.close();
  }
}

/** Written before the first transaction is replayed, so it always tells the base's own state. */
async function rememberBase(applier: Applier, stored: StoredPlan, folder: ClaimedFolder): Promise<void> {
  if ((await readMark(folder, 'base-state')) !== undefined) return;
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
    async *open(signal) {
      yield* readSegment(await homes.holding(segment.object, signal), segment, signal);
    },
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
