import { z } from 'zod';
import { formatListen, parseListen } from '../../config/listen.ts';
import { ALL_ROLES, formatRole, parseRoles } from '../../worker/roles.ts';
import { tuneProcess } from '../../worker/tuned-process.ts';
import { defineCommand } from '../command.ts';
import { temporalTarget } from '../temporal-client.ts';

export const command = defineCommand({
  description:
    'Does the work: polls the task queues of its roles until Ctrl-C or SIGTERM, then lets what runs end for some seconds. Work that is cut off goes on at the next worker. Without --roles one process does everything for servers on this host.',
  arguments: [],
  options: [
    {
      flags: '--roles <list>',
      description: 'control, store, host:NAME, restore; separated by commas (default: all, host:local)',
    },
    { flags: '--region <name>', description: 'part of the queue names (default: region in pitrail.yaml)' },
    {
      flags: '--listen <address>',
      description:
        'serve /metrics, /health/live and /health/ready at PORT (of this host only) or HOST:PORT (default: worker.listen in pitrail.yaml, else nowhere)',
    },
  ],
  examples: [
    { line: 'pitrail worker', says: 'everything in one process' },
    {
      line: 'pitrail worker --roles host:db-1',
      says: 'on a database host, which its sources name as workerHost',
    },
    { line: 'pitrail worker --roles control,store --region eu-west-1', says: 'elsewhere, beside it' },
    { line: 'pitrail worker --listen 9464', says: 'with metrics and health at 127.0.0.1:9464' },
  ],
  schema: z.strictObject({
    roles: z.string().optional(),
    region: z.string().optional(),
    listen: z.string().optional(),
  }),
  async run({ config, logger, signal }, { options }) {
    tuneProcess();
    const settled = await config();
    const roles = options.roles === undefined ? ALL_ROLES : parseRoles(options.roles);
    const region = options.region ?? settled.region;
    const { runWorker } = await import('../../worker/worker.ts');
    await runWorker({
      config: settled,
      roles,
      region,
      temporal: await temporalTarget(settled.temporal),
      logger,
      listen: options.listen === undefined ? settled.worker.listen : parseListen(options.listen),
      signal,
      onReady: (queues, served) => {
        // Said at any level, in the form of the log: what collects it expects JSON lines.
        const log = logger.child({}, { level: 'info' });
        if (served !== null)
          log.info(`metrics and health: http://${formatListen(served)}/metrics, /health/live, /health/ready`);
        log.info(
          `pitrail worker ${process.pid} (${roles.map(formatRole).join(', ')}) works on ${queues.join(', ')}`,
        );
      },
    });
    // A worker is asked to stop by a signal; that it did is success.
    return 0;
  },
});
