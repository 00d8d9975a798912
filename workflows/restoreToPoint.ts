import {
  CancellationScope,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { RestoreActivities, RestoreHostActivities } from '../activities/restore.ts';
import type { RestoreJob } from '../src/restoring/job.ts';
import type { RestoreOutcome } from '../src/restoring/outcome.ts';
import type { PlannedRestore } from '../src/restoring/plan-step.ts';
import {
  RESTORE_TO_POINT,
  type RestoreToPointInput,
  type RestoreToPointProgress,
} from './contracts/restore.ts';
import { decode } from './decode.ts';
import { restoreProgress } from './messages.ts';
import { nowText } from './now.ts';
import { regionOf, restoreHostQueue, restoreQueue } from './queues.ts';
import { givenUpBecause, withLeftovers } from './restore-failures.ts';

/** What is unavailable may come back after hours; a restore waits for it. */
const RETRY = { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' } as const;

/** A worker that died is noticed by its missing heartbeat; the next one goes on where it was. */
const STEP = { startToCloseTimeout: '7 days', heartbeatTimeout: '12 seconds', retry: RETRY } as const;

type Report = { -readonly [K in keyof RestoreToPointProgress]: RestoreToPointProgress[K] };

/**
 * Restores a server to an exact point, in a folder of a restore worker's machine. Id
 * `restore/{cluster}/{request id}`. Each step goes on where a killed worker left it. A restore that
 * cannot succeed, or is cancelled, leaves nothing behind.
 */
export async function restoreToPoint(input: RestoreToPointInput): Promise<RestoreOutcome> {
  const request = decode(RESTORE_TO_POINT, input);
  const report: Report = { request, step: 'waiting-for-host', host: null, plan: null, startedAt: nowText() };
  setHandler(restoreProgress, () => report);
  const job = jobOf(request);
  const region = request.restoreRegion ?? regionOf(workflowInfo().taskQueue);

  const { hostname } = await claimant(region).claimRestoreHost(job);
  report.host = hostname;
  const steps = stepsOn(region, hostname);
  try {
    enter(report, 'plan');
    const planned = await planner(region, hostname).planRestore(job);
    report.plan = numbersOf(planned);
    enter(report, 'fetch');
    const fetched = await steps.fetchBaseBackup(job);
    enter(report, 'replay');
    const replayed = await steps.replayTransactions(job);
    enter(report, 'verify');
    const verified = await steps.verifyRestore(job);
    enter(report, 'hand-over');
    const outcome = await steps.handOverRestore({ job, results: { planned, fetched, replayed, verified } });
    enter(report, 'done');
    return outcome;
  } catch (error) {
    enter(report, 'giving-up');
    await giveUp(region, hostname, job, error);
    throw error;
  }
}

function jobOf(request: RestoreToPointInput): RestoreJob {
  const { cluster, store, target, targetDir, timeline, skipGtids, requestId, keepRunning } = request;
  const afterwards = keepRunning ? 'keep-running' : 'stop';
  return { requestId, cluster, store, target, targetDir, timeline, skipGtids, afterwards };
}

/** Whichever restore worker of the region is free takes the restore. */
function claimant(region: string): RestoreActivities {
  return proxyActivities<RestoreActivities>({ ...STEP, taskQueue: restoreQueue(region) });
}

/** All else happens on the machine where the folder lies. */
function stepsOn(region: string, hostname: string): RestoreHostActivities {
  return proxyActivities<RestoreHostActivities>({ ...STEP, taskQueue: restoreHostQueue(region, hostname) });
}

/** Nothing is begun yet, so whoever asked had better know soon that the stores cannot be read. */
function planner(region: string, hostname: string): Pick<RestoreHostActivities, 'planRestore'> {
  return proxyActivities<RestoreHostActivities>({
    ...STEP,
    taskQueue: restoreHostQueue(region, hostname),
    retry: { ...RETRY, maximumAttempts: 6 },
  });
}

function enter(report: Report, step: Report['step']): void {
  report.step = step;
  setCurrentDetails(
    `To \`${report.request.target}\` in \`${report.request.targetDir}\` on \`${report.host}\`: **${step}** since ${nowText()}`,
  );
}

function numbersOf(planned: PlannedRestore): RestoreToPointProgress['plan'] {
  const { backupId, transactions, segments, bytes, estimatedSeconds } = planned;
  return { backupId, transactions, segments, storedBytes: bytes.base + bytes.segments, estimatedSeconds };
}

/** Also where the workflow was cancelled. A machine that is gone for good is not waited for any longer. */
async function giveUp(region: string, hostname: string, job: RestoreJob, error: unknown): Promise<void> {
  const { abandonRestore } = proxyActivities<RestoreHostActivities>({
    ...STEP,
    scheduleToCloseTimeout: '1 hour',
    taskQueue: restoreHostQueue(region, hostname),
  });
  try {
    const why = givenUpBecause(error);
    await CancellationScope.nonCancellable(() => abandonRestore({ job, why }));
  } catch (left) {
    throw withLeftovers(error, left, job.targetDir);
  }
}
