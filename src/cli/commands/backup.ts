import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { z } from 'zod';
import { fromFailure } from '../../../activities/failures.ts';
import type { BackupProgress, TakeBackupResult } from '../../../workflows/contracts/backup.ts';
import { controlQueue } from '../../../workflows/queues.ts';
import type { takeBackup } from '../../../workflows/takeBackup.ts';
import { pickCluster, pickSource } from '../../config/pick.ts';
import { EXIT_CODES } from '../../domain/errors.ts';
import { assertWorker } from '../archive/entity.ts';
import { type CliContext, defineCommand } from '../command.ts';
import { connectTemporal } from '../temporal-client.ts';
import { formatBytes } from '../words.ts';

const PROGRESS_MS = 1_000;

export const command = defineCommand({
  description:
    'Takes a base backup of a source with the clone plugin, in five phases, and waits for it. Ctrl-C ends only the waiting. Exits 75 where the backup is registered but the binlogs up to its end are not archived yet, or a store that failed lacks it.',
  arguments: [],
  options: [
    { flags: '--cluster <name>', description: 'the cluster (default: the only one)' },
    { flags: '--source <id>', description: 'the source (default: the only one)' },
  ],
  examples: [
    { line: 'pitrail backup', says: 'of the only source' },
    { line: 'pitrail backup --source shop-2 --json | jq -r .backupId', says: 'of a replica' },
  ],
  schema: z.strictObject({ cluster: z.string().optional(), source: z.string().optional() }),
  async run(context, { options }) {
    const config = await context.config();
    const cluster = pickCluster(config, options.cluster ?? null);
    const source = pickSource(config, cluster, options.source ?? null);
    const session = await connectTemporal(config.temporal);
    try {
      await assertWorker(session, config.region);
      const time = new Date().toISOString();
      const handle = await session.client.workflow.start<typeof takeBackup>('takeBackup', {
        workflowId: `backup/${cluster.name}/${time}`,
        taskQueue: controlQueue(config.region),
        workflowIdConflictPolicy: 'FAIL',
        args: [{ cluster: cluster.name, source: source.id }],
        staticSummary: `Base backup of ${cluster.name}/${source.id}`,
      });
      context.output.say(`backup of ${cluster.name}/${source.id} runs as workflow ${handle.workflowId}`);
      const result = await waitFor(context, handle);
      context.output.result(result, () => describe(result));
      const isWhole = result.completeness === 'complete' && result.lackedBy.length === 0;
      return isWhole ? 0 : EXIT_CODES.unavailable;
    } finally {
      await session.close();
    }
  },
});

async function waitFor(
  { output, signal }: CliContext,
  handle: WorkflowHandle<typeof takeBackup>,
): Promise<TakeBackupResult> {
  const done = new AbortController();
  const stop = AbortSignal.any([done.signal, signal]);
  const watching = sayPhases(output, handle, stop);
  try {
    return await Promise.race([handle.result(), aborted(signal)]);
  } catch (error) {
    throw error instanceof WorkflowFailedError ? (fromFailure(error) ?? error) : error;
  } finally {
    done.abort();
    await watching;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

async function sayPhases(
  output: CliContext['output'],
  handle: WorkflowHandle<typeof takeBackup>,
  stop: AbortSignal,
): Promise<void> {
  let said = '';
  while (!stop.aborted) {
    const phase = await currentPhase(handle);
    if (phase !== null && phase !== said) output.say(`  ${phase}`);
    said = phase ?? said;
    // Ending the wait is no failure.
    await sleep(PROGRESS_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}

async function currentPhase(handle: WorkflowHandle<typeof takeBackup>): Promise<string | null> {
  try {
    return (await handle.query<BackupProgress>('progress')).phase;
  } catch {
    // Only the picture is missing; what matters is how the workflow ends.
    return null;
  }
}

function describe(result: TakeBackupResult): string {
  const { cluster, backupId, binlog, position, dataBytes, storedBytes, completeness, notes } = result;
  const { stores, lackedBy } = result;
  return [
    `backup ${backupId}: ${formatBytes(dataBytes)} of data, ${formatBytes(storedBytes)} stored in ${stores.join(', ')}`,
    `  ends at ${binlog}:${position}`,
    ...(completeness === 'complete'
      ? []
      : [
          `  ${binlog} is not archived yet: until it is, this is no base for later targets. See: pitrail archive --once`,
        ]),
    ...lackedBy.flatMap(({ store, message }) => [
      `  ${store} lacks it: ${message}`,
      `    bring it there when the store is back: pitrail sync --cluster ${cluster} --from ${stores[0]} --to ${store}`,
    ]),
    ...notes.map((note) => `  note: ${note}`),
  ].join('\n');
}
