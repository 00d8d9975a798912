import type { ClusterConfig } from '../../config/types.ts';
import { restoreContext } from '../../restoring/context.ts';
import { directRequestId, restoreDirectly } from '../../restoring/direct.ts';
import type { RestoreJob } from '../../restoring/job.ts';
import type { RestoreOutcome } from '../../restoring/outcome.ts';
import type { CliContext } from '../command.ts';
import { formatSeconds } from '../words.ts';
import type { RestoreAsked } from './asked.ts';
import { sayPassedOver } from './degraded.ts';
import { StepBars } from './step-bars.ts';

/** Restores in this very process; what it needs is a store, the key and a mysqld. */
export async function restoreInProcess(
  context: CliContext,
  cluster: ClusterConfig,
  asked: RestoreAsked,
): Promise<RestoreOutcome> {
  const { output, signal } = context;
  const job: RestoreJob = { ...asked, requestId: asked.requestId ?? directRequestId(asked) };
  output.say(`restore ${job.requestId} to ${job.target} in ${job.targetDir}, in this process`);
  const bars = new StepBars(context);
  const surroundings = await restoreContext(cluster, signal, (progress) => bars.update(progress));
  try {
    return await restoreDirectly(surroundings, job, {
      onStep: (step) => bars.enter(step),
      onPlanned: ({ passedOver }) => sayPassedOver(output, passedOver),
      onRetry: ({ error, delayMs }) =>
        output.say(`  ${error.message} Trying again in ${formatSeconds(delayMs / 1000)}.`),
    });
  } finally {
    bars.stop();
  }
}
