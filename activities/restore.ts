import { hostname } from 'node:os';
import { pickCluster } from '../src/config/pick.ts';
import type { PitrailConfig } from '../src/config/types.ts';
import { abandonStep, type GivenUp } from '../src/restoring/abandon-step.ts';
import { type RestoreContext, restoreContext } from '../src/restoring/context.ts';
import { fetchStep } from '../src/restoring/fetch-step.ts';
import { handOverStep } from '../src/restoring/hand-over-step.ts';
import { type RestoreJob, settleTargetDir } from '../src/restoring/job.ts';
import { outcomeOf, type RestoreOutcome, type StepResults } from '../src/restoring/outcome.ts';
import { planStep } from '../src/restoring/plan-step.ts';
import { replayStep } from '../src/restoring/replay-step.ts';
import { verifyStep } from '../src/restoring/verify-step.ts';
import { type Beat, withHeartbeat } from './heartbeat.ts';

/** The machine on which a restore stays, because its data folder lies there. */
export interface RestoreHost {
  readonly hostname: string;
}

export interface HandOverInput {
  readonly job: RestoreJob;
  /** What the steps before came to. */
  readonly results: Omit<StepResults, 'handed'>;
}

export interface AbandonInput {
  readonly job: RestoreJob;
  readonly why: GivenUp;
}

/** Activities of the restore queue of a region: whichever worker takes it restores. */
export function restoreActivities(config: PitrailConfig) {
  return {
    /** Takes the restore for this machine, where it knows the cluster and has a server program. */
    claimRestoreHost: ({ cluster }: Pick<RestoreJob, 'cluster'>): Promise<RestoreHost> =>
      withHeartbeat(async (beat) => {
        await restoreContext(pickCluster(config, cluster), beat.signal, () => undefined);
        return { hostname: hostname() };
      }),
  };
}

/** The steps of a restore, on the machine that took it. */
export function restoreHostActivities(config: PitrailConfig) {
  const step = <T>(
    job: RestoreJob,
    act: (context: RestoreContext, job: RestoreJob, beat: Beat) => Promise<T>,
  ): Promise<T> =>
    withHeartbeat(async (beat) => {
      const cluster = pickCluster(config, job.cluster);
      const context = await restoreContext(cluster, beat.signal, (progress) => beat.report(progress));
      return act(context, { ...job, targetDir: settleTargetDir(job.targetDir) }, beat);
    });
  return {
    /** Plans, and claims the target folder. */
    planRestore: (job: RestoreJob) => step(job, planStep),

    /** Fetches the base backup into the target folder. */
    fetchBaseBackup: (job: RestoreJob) => step(job, fetchStep),

    /** Replays the planned transactions onto it. */
    replayTransactions: (job: RestoreJob) => step(job, replayStep),

    /** Proves that exactly those were applied. */
    verifyRestore: (job: RestoreJob) => step(job, verifyStep),

    /** Hands the server over; returns what the whole restore did. */
    handOverRestore: ({ job, results }: HandOverInput): Promise<RestoreOutcome> =>
      step(job, async (context, settled) =>
        outcomeOf(settled, { ...results, handed: await handOverStep(context, settled) }),
      ),

    /** Removes what a restore that is given up left on this machine. */
    abandonRestore: ({ job, why }: AbandonInput): Promise<void> =>
      step(job, (context, settled) => abandonStep(context, settled, why)),
  };
}

export type RestoreActivities = ReturnType<typeof restoreActivities>;
export type RestoreHostActivities = ReturnType<typeof restoreHostActivities>;
