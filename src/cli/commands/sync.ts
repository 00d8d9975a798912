import { z } from 'zod';
import {
  firstSignature,
  openRepositories,
  type Repositories,
  type Repository,
  wallClock,
} from '../../archiving/repositories.ts';
import { viewOf } from '../../catalog/view.ts';
import { pickCluster, pickStore } from '../../config/pick.ts';
import { AppError } from '../../domain/errors.ts';
import { planSync, type SyncPlan } from '../../domain/routing/sync-plan.ts';
import { guardByRules } from '../../storage/guard/guarded-store.ts';
import { type Inspection, inspectObjects, mendObjects } from '../../syncing/mend-objects.ts';
import { type SyncResult, syncStores } from '../../syncing/sync-stores.ts';
import { worstExit } from '../checks/finding.ts';
import { type CliContext, defineCommand } from '../command.ts';
import { withBar } from '../progress.ts';
import { kindOf } from '../sync/obstacles.ts';
import {
  describePlan,
  describeSync,
  inspectedIn,
  kindsOf,
  type Synced,
  stillMissing,
} from '../sync/report.ts';
import { formatBytes, formatCount } from '../words.ts';

export const command = defineCommand({
  description:
    'Copies from one store to another what that lacks: objects byte for byte, each read back, and the entries that name them, in order. ' +
    'An object that was removed from the other store is put back, and one that was changed there is named: each object of it is looked at. A store that was added later is filled from nothing. Interrupted or run again it goes on where it was. Needs neither server nor Temporal. ' +
    'Exit code 0 where the other store lacks nothing afterwards, 3 or 5 where something cannot be copied, 4 where an object of it is not what was stored.',
  arguments: [],
  options: [
    { flags: '--from <id>', description: 'the store that has it' },
    { flags: '--to <id>', description: 'the store that lacks it' },
    { flags: '--cluster <name>', description: 'the cluster (default: the only one)' },
    { flags: '--dry-run', description: 'say what would be copied, and change nothing' },
  ],
  examples: [
    { line: 'pitrail sync --from main --to s3', says: 'fill a new store, or one that was away' },
    { line: 'pitrail sync --from s3 --to main --dry-run', says: 'what does main lack?' },
  ],
  schema: z
    .strictObject({
      from: z.string({ error: 'say which store has it: --from ID' }),
      to: z.string({ error: 'say which store lacks it: --to ID' }),
      cluster: z.string().nullable().default(null),
      dryRun: z.boolean().default(false),
    })
    .refine(({ from, to }) => from !== to, { path: ['to'], error: 'must be another store than --from' }),
  async run(context, { options }) {
    const config = await context.config();
    const cluster = pickCluster(config, options.cluster);
    const fromId = pickStore(config, cluster, options.from, '--from').id;
    const toId = pickStore(config, cluster, options.to, '--to').id;
    const repositories = await openRepositories(cluster, guardByRules);
    try {
      const from = repositoryOf(repositories, fromId);
      const to = repositoryOf(repositories, toId);
      if (options.dryRun) return await tellPlan(context, from, to);
      const { parallelTransfers } = cluster.archive;
      const result = await syncWithBar(context, { from, to, repositories, parallelTransfers });
      const inspection = await inspectWithBar(context, from, to);
      const { signal } = context;
      await mendObjects({ from, to, parallel: parallelTransfers, signal }, inspection.lost);
      const done: Synced = { ...result, ...inspectedIn(inspection) };
      const document = { from: fromId, to: toId, dryRun: false, ...done };
      context.output.result(document, () => describeSync(fromId, toId, done));
      return worstExit([
        ...done.obstacles.map(kindOf),
        ...stillMissing(toId, done.comparison),
        ...kindsOf(done),
      ]);
    } finally {
      await repositories.close();
    }
  },
});

function repositoryOf({ all }: Repositories, id: string | undefined): Repository {
  const found = all.find(({ store }) => store.id === id);
  if (found !== undefined) return found;
  throw new AppError({
    code: 'UnknownStore',
    kind: 'bug',
    message: `Store ${id} was picked and not opened.`,
  });
}

async function tellPlan(context: CliContext, from: Repository, to: Repository): Promise<number> {
  const source = viewOf(from.store.id, await from.catalog.read());
  const state = await to.catalog.readIfAny();
  const { repositoryId } = source;
  const target =
    state === undefined
      ? { store: to.store.id, repositoryId, entries: source.entries.slice(0, 1) }
      : viewOf(to.store.id, state);
  const plan = planSync(source, target);
  const inspected = inspectedIn(await inspectWithBar(context, from, to));
  const document = {
    from: from.store.id,
    to: to.store.id,
    dryRun: true,
    entries: plan.steps.length,
    objects: plan.steps.filter(({ object }) => object !== null).length,
    bytes: plan.bytes,
    steps: plan.steps.map(({ name, object }) => ({
      name,
      key: object?.key ?? null,
      bytes: object?.lengthBytes ?? 0,
    })),
    ...inspected,
    obstacles: plan.obstacles,
  };
  context.output.result(document, () => describePlan(document));
  return worstExit([...plan.obstacles.map(kindOf), ...kindsOf(inspected)]);
}

async function inspectWithBar(
  { progress, signal }: CliContext,
  from: Repository,
  to: Repository,
): Promise<Inspection> {
  return withBar(progress, (bar) =>
    inspectObjects({
      from,
      to,
      signal,
      onStart: (totalBytes) => bar.begin(`looking at what lies in ${to.store.id}`, totalBytes),
      onProgress: bar.update,
    }),
  );
}

async function syncWithBar(
  { output, progress, signal }: CliContext,
  {
    from,
    to,
    repositories,
    parallelTransfers,
  }: {
    readonly from: Repository;
    readonly to: Repository;
    readonly repositories: Repositories;
    readonly parallelTransfers: number;
  },
): Promise<SyncResult> {
  return withBar(progress, (bar) =>
    syncStores({
      from,
      to,
      key: repositories.key,
      sign: (epoch) => firstSignature('sync', wallClock(), epoch),
      parallel: parallelTransfers,
      signal,
      onPlanned({ steps, bytes }: SyncPlan) {
        const { id } = to.store;
        output.say(`${id} lacks ${formatCount(steps.length, 'entry', 'entries')} with ${formatBytes(bytes)}`);
        bar.begin(`copying to ${id}`, bytes);
      },
      onProgress: bar.update,
    }),
  );
}
