import { z } from 'zod';
import { pickCluster, pickSource } from '../../config/pick.ts';
import type { PitrailConfig } from '../../config/types.ts';
import { AppError, assertNever } from '../../domain/errors.ts';
import { decideLetter } from '../archive/decide.ts';
import { dryRun } from '../archive/dry-run.ts';
import type { SourceEntity } from '../archive/entity.ts';
import { archiveOnce } from '../archive/once.ts';
import { sendSignal } from '../archive/signal.ts';
import type { CliContext } from '../command.ts';
import { defineCommand } from '../command.ts';

const flag = z.boolean().default(false);
const options = z.strictObject({
  cluster: z.string().nullable().default(null),
  source: z.string().nullable().default(null),
  once: flag,
  pause: flag,
  resume: flag,
  rotate: flag,
  dryRun: flag,
  acceptGap: z.string().nullable().default(null),
  retry: z.string().nullable().default(null),
  reason: z.string().min(1, 'must say why').nullable().default(null),
});

type Options = z.output<typeof options>;

/** What one call of the command does. */
type Action =
  | { readonly kind: 'once' | 'pause' | 'resume' | 'rotate' | 'dry-run' }
  | { readonly kind: 'accept-gap' | 'retry'; readonly binlog: string; readonly reason: string };

export const command = defineCommand({
  description:
    'Archives binlogs, or steers the workflow that does. --once archives all that is closed now and ends; it exits 0 only where every closed log is in every required store; a source that stands by is passed over, unless --source names it. Needs a worker and Temporal, except for --dry-run.',
  arguments: [],
  options: [
    { flags: '--cluster <name>', description: 'the cluster (default: the only one)' },
    { flags: '--source <id>', description: 'the source (default: all of the cluster; a signal needs one)' },
    { flags: '--once', description: 'archive all that is closed now, then end' },
    {
      flags: '--dry-run',
      description: 'say what would go where, under which key, and what is missing; writes nothing',
    },
    { flags: '--rotate', description: 'close the open binlog, so that it is archived now' },
    { flags: '--pause', description: 'stop after the logs in flight' },
    { flags: '--resume', description: 'go on' },
    { flags: '--retry <binlog>', description: 'try a dead letter again; needs --reason' },
    {
      flags: '--accept-gap <binlog>',
      description: 'give up a dead letter, or what is missing before it; needs --reason',
    },
    { flags: '--reason <text>', description: 'kept in the catalog and in the history' },
  ],
  examples: [
    { line: 'pitrail archive --once', says: 'every source of the only cluster' },
    { line: 'pitrail archive --dry-run --source shop-1', says: 'what --once would do' },
    {
      line: 'pitrail archive --accept-gap binlog.000042 --reason "disk lost, accepted by ops"',
      says: 'go on behind a gap',
    },
  ],
  schema: options,
  async run(context, { options: given }) {
    const action = actionOf(given);
    const config = await context.config();
    const sources = chosenSources(config, given, action);
    return act(context, config, sources, action);
  },
});

function act(
  context: CliContext,
  config: PitrailConfig,
  sources: readonly SourceEntity[],
  action: Action,
): Promise<number> {
  switch (action.kind) {
    case 'once':
      return archiveOnce(context, config, sources);
    case 'dry-run':
      return dryRun(context, config, sources);
    case 'accept-gap':
    case 'retry':
      return decideLetter(context, config, only(sources), action);
    case 'pause':
    case 'resume':
    case 'rotate':
      return sendSignal(context, config, only(sources), action.kind);
    default:
      return assertNever(action);
  }
}

/** Reads the one thing that shall be done. @throws usage */
function actionOf(given: Options): Action {
  const reason = given.reason ?? '';
  const actions: Action[] = [
    ...(given.once ? [{ kind: 'once' } as const] : []),
    ...(given.pause ? [{ kind: 'pause' } as const] : []),
    ...(given.resume ? [{ kind: 'resume' } as const] : []),
    ...(given.rotate ? [{ kind: 'rotate' } as const] : []),
    ...(given.dryRun ? [{ kind: 'dry-run' } as const] : []),
    ...(given.acceptGap === null ? [] : [{ kind: 'accept-gap', binlog: given.acceptGap, reason } as const]),
    ...(given.retry === null ? [] : [{ kind: 'retry', binlog: given.retry, reason } as const]),
  ];
  const [action] = actions;
  if (action === undefined || actions.length > 1) {
    throw usage(`pitrail archive takes one action, and ${actions.length} were given.`);
  }
  if ((action.kind === 'accept-gap' || action.kind === 'retry') && reason === '') {
    throw usage(`--${action.kind} needs --reason: it is kept with the decision.`);
  }
  return action;
}

function chosenSources(config: PitrailConfig, given: Options, action: Action): readonly SourceEntity[] {
  const cluster = pickCluster(config, given.cluster);
  const many = given.source === null && (action.kind === 'once' || action.kind === 'dry-run');
  const sources = many ? cluster.sources : [pickSource(config, cluster, given.source)];
  return sources.map(({ id }) => ({ cluster: cluster.name, source: id, region: config.region }));
}

function only(sources: readonly SourceEntity[]): SourceEntity {
  const [source] = sources;
  if (source === undefined) throw usage('No source was chosen.');
  return source;
}

function usage(message: string): AppError {
  return new AppError({
    code: 'BadUsage',
    kind: 'usage',
    message: `${message} Nothing was done.`,
    hint: 'Give one of --once, --dry-run, --rotate, --pause, --resume, --retry BINLOG, --accept-gap BINLOG.',
  });
}
