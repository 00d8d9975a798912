import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  defaultPayloadConverter,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowHandle,
} from '@temporalio/client';
import type { RestoreToPointInput, RestoreToPointProgress } from '../../../workflows/contracts/restore.ts';
import { controlQueue, restoreQueue } from '../../../workflows/queues.ts';
import type { restoreToPoint } from '../../../workflows/restoreToPoint.ts';
import type { PitrailConfig } from '../../config/types.ts';
import { AppError } from '../../domain/errors.ts';
import { RESTORE_STEPS, type StepProgress } from '../../restoring/job.ts';
import type { RestoreOutcome } from '../../restoring/outcome.ts';
import { assertWorker } from '../archive/entity.ts';
import type { CliContext } from '../command.ts';
import { connectTemporal, type TemporalSession } from '../temporal-client.ts';
import { fromTemporal } from '../temporal-errors.ts';
import type { RestoreAsked } from './asked.ts';
import { StepBars } from './step-bars.ts';

type RestoreHandle = WorkflowHandle<typeof restoreToPoint>;

const PROGRESS_MS = 1_000;

/**
 * Starts the workflow of a restore, or finds the one of this request, and waits for it. Ctrl-C ends only
 * the waiting.
 * @throws what the restore throws; conflict `RequestIdTaken`; unavailable
 */
export async function restoreByWorkflow(
  context: CliContext,
  config: PitrailConfig,
  asked: RestoreAsked,
): Promise<RestoreOutcome> {
  const session = await connectTemporal(config.temporal);
  try {
    const input = inputOf(asked);
    const handle = await begin(context, session, config, input);
    return await waitFor(context, handle, input);
  } finally {
    await session.close();
  }
}

function inputOf(asked: RestoreAsked): RestoreToPointInput {
  const { cluster, store, target, targetDir, timeline, skipGtids, afterwards } = asked;
  const keepRunning = afterwards === 'keep-running';
  const requestId = asked.requestId ?? `r-${Date.now().toString(36)}-${randomBytes(3).toString('hex')}`;
  return {
    cluster,
    store,
    target,
    targetDir,
    timeline,
    skipGtids,
    keepRunning,
    requestId,
    restoreRegion: null,
  };
}

async function begin(
  { output }: CliContext,
  session: TemporalSession,
  { region }: PitrailConfig,
  input: RestoreToPointInput,
): Promise<RestoreHandle> {
  const workflowId = `restore/${input.cluster}/${input.requestId}`;
  await assertWorker(session, region);
  await assertRestoreWorker(session, region);
  try {
    const handle = await session.client.workflow.start<typeof restoreToPoint>('restoreToPoint', {
      workflowId,
      taskQueue: controlQueue(region),
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
      args: [input],
      staticSummary: `Restore of ${input.cluster} to ${input.target}`,
    });
    output.say(`restore to ${input.target} in ${input.targetDir} runs as workflow ${workflowId}`);
    return handle;
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw fromTemporal(error);
    const handle = session.client.workflow.getHandle<typeof restoreToPoint>(workflowId);
    await assertSameRequest(handle, input);
    output.say(`this restore was begun before, as workflow ${workflowId}`);
    return handle;
  }
}

/** A request id names one restore for ever. @throws conflict `RequestIdTaken` */
async function assertSameRequest(handle: RestoreHandle, input: RestoreToPointInput): Promise<void> {
  const { request } = await progressOf(handle);
  const same = (Object.keys(input) as (keyof RestoreToPointInput)[]).every(
    (key) => request[key] === input[key],
  );
  if (same) return;
  throw new AppError({
    code: 'RequestIdTaken',
    kind: 'conflict',
    message: `The request id ${input.requestId} belongs to a restore to ${request.target} in ${request.targetDir}, so nothing was done.`,
    hint: 'Leave --request-id out for a restore of its own, or repeat that command as it was.',
    facts: { requestId: input.requestId, target: request.target, targetDir: request.targetDir },
  });
}

/** Fails at once where no worker would ever take the restore. @throws unavailable `NoRestoreWorker` */
async function assertRestoreWorker(
  { connection, namespace }: TemporalSession,
  region: string,
): Promise<void> {
  const taskQueue = { name: restoreQueue(region) };
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue,
    taskQueueType: 2,
  });
  if ((pollers ?? []).length > 0) return;
  throw new AppError({
    code: 'NoRestoreWorker',
    kind: 'unavailable',
    message: `No worker polls ${taskQueue.name}, so nobody would take this restore.`,
    hint: 'Start one on the machine that shall hold the data: pitrail worker --roles restore. Without Temporal: pitrail restore --direct.',
    facts: { taskQueue: taskQueue.name },
  });
}

async function waitFor(
  context: CliContext,
  handle: RestoreHandle,
  input: RestoreToPointInput,
): Promise<RestoreOutcome> {
  const done = new AbortController();
  const watching = watch(context, handle, AbortSignal.any([done.signal, context.signal]));
  try {
    return await Promise.race([handle.result(), aborted(context.signal)]);
  } catch (error) {
    if (context.signal.aborted) sayHowToComeBack(context, input);
    throw fromTemporal(error);
  } finally {
    done.abort();
    await watching;
  }
}

function sayHowToComeBack({ output }: CliContext, input: RestoreToPointInput): void {
  output.say('The restore goes on without this command. Come back to it with the same command and');
  output.say(`  --request-id ${input.requestId}`);
  output.say(
    `or end it, which removes what it has restored so far: temporal workflow cancel --workflow-id restore/${input.cluster}/${input.requestId}`,
  );
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** What it cannot learn in time it shows later: only the picture is missing then. */
async function watch(context: CliContext, handle: RestoreHandle, stop: AbortSignal): Promise<void> {
  const bars = new StepBars(context);
  let told = '';
  while (!stop.aborted) {
    const seen = await look(handle).catch(() => null);
    if (seen !== null && !stop.aborted) {
      if (seen.step !== undefined) bars.enter(seen.step);
      if (seen.bytes !== null) bars.update(seen.bytes);
      if (seen.trouble !== null && seen.trouble !== told)
        context.output.say(`  trying again: ${seen.trouble}`);
      told = seen.trouble ?? told;
    }
    await sleep(PROGRESS_MS, undefined, { signal: stop }).catch(() => undefined);
  }
  bars.stop();
}

async function look(handle: RestoreHandle) {
  const [{ step }, { raw }] = await Promise.all([progressOf(handle), handle.describe()]);
  const [pending] = raw.pendingActivities ?? [];
  const [heartbeat] = pending?.heartbeatDetails?.payloads ?? [];
  return {
    step: RESTORE_STEPS.find((known) => known === step),
    // A heartbeat before the first report carries nothing.
    bytes:
      heartbeat === undefined
        ? null
        : (defaultPayloadConverter.fromPayload<StepProgress | undefined>(heartbeat) ?? null),
    trouble: pending?.lastFailure?.message ?? null,
  };
}

function progressOf(handle: RestoreHandle): Promise<RestoreToPointProgress> {
  return handle.query<RestoreToPointProgress>('progress');
}
