import { resolve } from 'node:path';
import { z } from 'zod';
import { pickCluster } from '../../config/pick.ts';
import { EXIT_CODES } from '../../domain/errors.ts';
import { parseTarget } from '../../domain/target.ts';
import { settleTargetDir } from '../../restoring/job.ts';
import { isDegraded } from '../../restoring/outcome.ts';
import { defineCommand } from '../command.ts';
import type { RestoreAsked } from '../restore/asked.ts';
import { sayPassedOver } from '../restore/degraded.ts';
import { describeOutcome } from '../restore/words.ts';
import { TARGET_OPTIONS, targetSchema } from '../target-options.ts';

type RestoreInProcess = typeof import('../restore/in-process.ts').restoreInProcess;
type RestoreByWorkflow = typeof import('../restore/by-workflow.ts').restoreByWorkflow;

const flag = z.boolean().default(false);

export const command = defineCommand({
  description:
    'Restores a server to an exact point in a folder of its own: fetches the base backup, replays what came after it, proves the result, and hands over a stopped data folder. Refuses, with exit code 3 and nothing left behind, what cannot be reached exactly. Exit code 75 where it restored, but passed over a store that could not be read and may hold more, or read something from another store because it was missing or damaged in the first. Runs as a workflow on a restore worker; Ctrl-C ends only the waiting. With --direct it runs in this process and needs no Temporal; run it again after a crash, and it goes on.',
  arguments: [],
  options: [
    ...TARGET_OPTIONS,
    {
      flags: '--target-dir <folder>',
      description: 'the data folder to make, on the machine that restores; must not exist or be empty',
    },
    { flags: '--keep-running', description: 'hand over the running server instead of a stopped folder' },
    { flags: '--direct', description: 'restore in this process, without Temporal' },
    {
      flags: '--request-id <id>',
      description: 'name of this restore; the same again finds it, running or done',
    },
  ],
  examples: [
    { line: 'pitrail restore --to latest --target-dir /srv/restored', says: 'all that is archived' },
    {
      line: 'pitrail restore --to 2026-11-20T10:32:05.123456Z --target-dir /srv/restored --json',
      says: 'to a time',
    },
    {
      line: 'pitrail restore --to before:3e11fa47-71ca-11e1-9e33-c80aa9429562:4711 --target-dir /srv/restored',
      says: 'to just before a transaction, as pitrail locate prints it',
    },
    {
      line: 'pitrail restore --to latest --target-dir /srv/restored --direct --store s3',
      says: 'when all is gone but a bucket and the key',
    },
  ],
  schema: targetSchema.extend({
    targetDir: z
      .string({ error: 'say where to restore to, such as --target-dir /srv/restored' })
      .min(1, 'is empty'),
    keepRunning: flag,
    direct: flag,
    requestId: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'takes up to 64 letters, digits, and _ . -')
      .nullable()
      .default(null),
  }),
  async run(context, { options }) {
    const config = await context.config();
    const cluster = pickCluster(config, options.cluster);
    // Refused here, in words about the option, and not by a workflow.
    parseTarget(options.to);
    const asked: RestoreAsked = {
      requestId: options.requestId,
      cluster: cluster.name,
      store: options.store,
      target: options.to,
      targetDir: settleTargetDir(resolve(options.targetDir)),
      timeline: options.timeline,
      skipGtids: options.skipGtid,
      afterwards: options.keepRunning ? 'keep-running' : 'stop',
    };
    const outcome = options.direct
      ? await directly(context, cluster, asked)
      : await byWorkflow(context, config, asked);
    if (!options.direct) sayPassedOver(context.output, outcome.passedOver);
    context.output.result(outcome, () => describeOutcome(outcome));
    return isDegraded(outcome) ? EXIT_CODES.unavailable : 0;
  },
});

// Each way loads much that the other has no use for: a restore shall leave the memory to its server.

async function directly(...args: Parameters<RestoreInProcess>): ReturnType<RestoreInProcess> {
  const { restoreInProcess } = await import('../restore/in-process.ts');
  return restoreInProcess(...args);
}

async function byWorkflow(...args: Parameters<RestoreByWorkflow>): ReturnType<RestoreByWorkflow> {
  const { restoreByWorkflow } = await import('../restore/by-workflow.ts');
  return restoreByWorkflow(...args);
}
