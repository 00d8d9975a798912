import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type {
  FallbackHandoffInput,
  HandoffProgress,
  HandoffResult,
} from '../../../workflows/contracts/handoff.ts';
import type { fallbackHandoff } from '../../../workflows/fallbackHandoff.ts';
import { controlQueue } from '../../../workflows/queues.ts';
import type { PitrailConfig } from '../../config/types.ts';
import { assertWorker } from '../archive/entity.ts';
import type { CliContext } from '../command.ts';
import { connectTemporal } from '../temporal-client.ts';
import { fromTemporal } from '../temporal-errors.ts';

const PROGRESS_MS = 500;

type HandoffHandle = WorkflowHandle<typeof fallbackHandoff>;

/**
 * Starts the workflow of a handoff, or joins the one of that epoch, and waits for it. Ctrl-C ends only the
 * waiting. @throws what the handoff throws; unavailable
 */
export async function runHandoff(
  context: CliContext,
  config: PitrailConfig,
  workflowId: string,
  input: FallbackHandoffInput,
): Promise<HandoffResult> {
  const session = await connectTemporal(config.temporal);
  try {
    await assertWorker(session, config.region);
    const handle = await session.client.workflow.start<typeof fallbackHandoff>('fallbackHandoff', {
      workflowId,
      taskQueue: controlQueue(config.region),
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [input],
      staticSummary: `Handoff of ${input.cluster} to ${input.to}`,
    });
    context.output.say(`handoff of ${input.cluster} to ${input.to} runs as workflow ${workflowId}`);
    return await waitFor(context, handle);
  } catch (error) {
    throw fromTemporal(error);
  } finally {
    await session.close();
  }
}

async function waitFor({ output, signal }: CliContext, handle: HandoffHandle): Promise<HandoffResult> {
  const done = new AbortController();
  const watching = saySteps(output, handle, AbortSignal.any([done.signal, signal]));
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    return await Promise.race([handle.result(), aborted]);
  } catch (error) {
    if (signal.aborted)
      output.say('The handoff goes on without this command; the same command comes back to it.');
    throw error;
  } finally {
    done.abort();
    await watching;
  }
}

async function saySteps(
  output: CliContext['output'],
  handle: HandoffHandle,
  stop: AbortSignal,
): Promise<void> {
  let said = '';
  while (!stop.aborted) {
    // What it cannot learn now it says later: only the picture is missing then.
    const seen = await handle.query<HandoffProgress>('progress').catch(() => null);
    const line = seen === null ? said : lineOf(seen);
    if (line !== said) output.say(`  ${line}`);
    said = line;
    await sleep(PROGRESS_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}

function lineOf({ step, waitsFor }: HandoffProgress): string {
  return waitsFor === null ? step : `${step}: ${waitsFor}`;
}
