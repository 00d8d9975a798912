import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { pickCluster } from '../../config/pick.ts';
import { assertNever, EXIT_CODES } from '../../domain/errors.ts';
import { GtidSet } from '../../domain/gtid-set.ts';
import type { SourceNotice } from '../../replay/connection.ts';
import { openArchive } from '../../restoring/archive.ts';
import { type Serving, serveArchive } from '../../restoring/serve.ts';
import { type CliContext, defineCommand } from '../command.ts';
import { isDegraded, sayFallovers, sayPassedOver } from '../restore/degraded.ts';
import { gtidSetOption, TARGET_OPTIONS, targetSchema } from '../target-options.ts';
import { formatCount, shortGtids } from '../words.ts';

export const command = defineCommand({
  description:
    'Serves archived transactions, up to a target, to a replica of your own on this machine, as if it were its source. Sends what the replica does not have and nothing past the target, until Ctrl-C. The password is written into a file of mode 0600 and nowhere else. Events that come through replication stay disabled on the replica.',
  arguments: [],
  options: [
    ...TARGET_OPTIONS,
    {
      flags: '--from-gtids <set>',
      description: 'gtid_executed of the replica; default: it has all from before the archive',
    },
    { flags: '--port <number>', description: 'on 127.0.0.1; default: a free one' },
  ],
  examples: [
    { line: 'pitrail serve --to latest', says: 'then run the file that it names in the replica' },
    {
      line: 'pitrail serve --to before:3e11fa47-71ca-11e1-9e33-c80aa9429562:4711 --port 13306',
      says: 'to bring a replica to just before an accident',
    },
  ],
  schema: targetSchema.extend({
    fromGtids: gtidSetOption.nullable().default(null),
    port: z.coerce.number().int('must be a whole number').min(0).max(65_535).default(0),
  }),
  async run(context, { options }) {
    const cluster = pickCluster(await context.config(), options.cluster);
    const archive = await openArchive(cluster, options.store);
    try {
      sayPassedOver(context.output, archive.passedOver);
      const serving = await serveArchive({
        archive,
        input: { target: options.to, skipGtids: options.skipGtid, timeline: options.timeline },
        replica:
          options.fromGtids === null
            ? { kind: 'as-old-as-the-archive' }
            : { kind: 'has', gtids: GtidSet.parse(options.fromGtids) },
        port: options.port,
        signal: context.signal,
        onNotice: (notice) => context.output.say(describeNotice(notice)),
      });
      await serveUntilStopped(context, serving, cluster.restore.scratchDir);
      sayFallovers(context.output, archive.fallovers);
      return isDegraded(archive) ? EXIT_CODES.unavailable : 0;
    } finally {
      await archive.close();
    }
  },
});

async function serveUntilStopped(
  { output, signal }: CliContext,
  serving: Serving,
  scratchDir: string,
): Promise<void> {
  const { source, plan, user } = serving;
  const statementFile = join(scratchDir, `serve-${source.port}.sql`);
  await mkdir(scratchDir, { recursive: true, mode: 0o700 });
  await rm(statementFile, { force: true });
  await writeFile(statementFile, statementOf(serving, serving.password), { mode: 0o600, flag: 'wx' });
  try {
    const { lastIncluded, firstExcluded } = plan;
    const document = {
      host: source.host,
      port: source.port,
      user,
      statementFile,
      binlogs: plan.selected.length,
      required: plan.required.toString(),
      target: plan.target.toString(),
      lastIncluded,
      firstExcluded,
    };
    output.result(document, () => describe(serving, statementFile));
    await Promise.race([stopped(signal), serving.refusal]);
  } finally {
    await source.close();
    await rm(statementFile, { force: true });
  }
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** The password has no character that must be quoted. */
function statementOf({ source, user }: Serving, password: string): string {
  return `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${source.host}', SOURCE_PORT = ${source.port}, SOURCE_USER = '${user}',
  SOURCE_PASSWORD = '${password}', SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 0;
START REPLICA;
`;
}

function describe(serving: Serving, statementFile: string): string {
  const { source, plan } = serving;
  const last = plan.lastIncluded;
  return [
    `Serves ${formatCount(plan.selected.length, 'binlog')} on ${source.host}:${source.port} until Ctrl-C.`,
    `  up to           ${last === null ? 'nothing' : last.gtid}`,
    `  the replica must have, and keeps   ${shortGtids(plan.required.toString()) || 'nothing'}`,
    `  in the replica run   SOURCE ${statementFile}`,
    '  which holds, with the password in it:',
    statementOf(serving, '…').replaceAll(/^/gm, '    ').trimEnd(),
  ].join('\n');
}

function describeNotice(notice: SourceNotice): string {
  switch (notice.kind) {
    case 'login-refused':
      return `login refused for ${notice.user}: ${notice.reason}`;
    case 'logged-in':
      return `${notice.user} logged in`;
    case 'refused':
      return `refused: ${notice.what}`;
    case 'dump-started':
      return `a replica asks for ${notice.transactions} transactions from ${formatCount(notice.files, 'binlog')}`;
    case 'everything-sent':
      return 'everything was sent; the replica stays connected and waits';
    case 'dump-failed':
      return `sending ended: ${notice.error.message}`;
    case 'connection-failed':
      return `connection lost: ${notice.message}`;
    default:
      return assertNever(notice);
  }
}
