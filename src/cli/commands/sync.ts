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
import { AppError, type ErrorKind } from '../../domain/errors.ts';
import { type CatalogComparison, isMaterial } from '../../domain/routing/compare.ts';
import { planSync, type SyncPlan } from '../../domain/routing/sync-plan.ts';
import { guardByRules } from '../../storage/guard/guarded-store.ts';
import { findLost, type LostObject, mendObjects } from '../../syncing/mend-objects.ts';
import { type SyncResult, syncStores } from '../../syncing/sync-stores.ts';
import { worstExit } from '../checks/finding.ts';
import { type CliContext, defineCommand } from '../command.ts';
import type { Progress } from '../progress.ts';
import { kindOf, wordsOf } from '../sync/obstacles.ts';
import { formatBytes, formatCount } from '../words.ts';

export const command = defineCommand({
  description:
    'Copies from one store to another what that lacks: objects byte for byte, each read back, and the entries that name them, in order. ' +
    'An object that was removed from the other store is put back. A store that was added later is filled from nothing. Interrupted or run again it goes on where it was. Needs neither server nor Temporal. ' +
    'Exit code 0 where the other store lacks nothing afterwards, 3 or 5 where something cannot be copied.',
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
      const lost = await findLost({ from, to, signal: context.signal });
      await mendObjects({ from, to, parallel: parallelTransfers, signal: context.signal }, lost);
      const done: Synced = { ...result, ...splitLost(lost) };
      context.output.result(documentOf(from, to, done), () => describe(from, to, done));
      return worstExit([
        ...done.obstacles.map(kindOf),
        ...stillMissing(to, done.comparison),
        ...done.lacking.map((): ErrorKind => 'refused'),
      ]);
    } finally {
      await repositories.close();
    }
  },
});

/** What was done, with the keys of objects that had been removed from the other store. */
interface Synced extends SyncResult {
  readonly putBack: readonly string[];
  /** Removed, and not to be had from the first store either. */
  readonly lacking: readonly string[];
}

function splitLost(lost: readonly LostObject[]): Pick<Synced, 'putBack' | 'lacking'> {
  const keysOf = (elsewhere: LostObject['elsewhere']) =>
    lost.filter((it) => it.elsewhere === elsewhere).map(({ object }) => object.key);
  return { putBack: keysOf('same-bytes'), lacking: keysOf('none') };
}

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
  const { putBack, lacking } = splitLost(await findLost({ from, to, signal: context.signal }));
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
    putBack,
    lacking,
    obstacles: plan.obstacles,
  };
  context.output.result(document, () =>
    [
      `${to.store.id} lacks ${formatCount(document.entries, 'entry', 'entries')} of ${from.store.id}, with ${formatCount(document.objects, 'object')} of ${formatBytes(plan.bytes)}`,
      ...document.steps.map(({ name, key }) => `  ${name}${key === null ? '' : `: ${key}`}`),
      ...putBack.map((key) => `  removed from ${to.store.id}, to be put back: ${key}`),
      ...lacking.map((key) => `problem: ${lackingWords(from, to, key)}`),
      ...plan.obstacles.map((obstacle) => `problem: ${wordsOf(obstacle)}`),
    ].join('\n'),
  );
  return worstExit([...plan.obstacles.map(kindOf), ...lacking.map((): ErrorKind => 'refused')]);
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
  const shown: { bar: Progress | null } = { bar: null };
  try {
    return await syncStores({
      from,
      to,
      key: repositories.key,
      sign: (epoch) => firstSignature('sync', wallClock(), epoch),
      parallel: parallelTransfers,
      signal,
      onPlanned({ steps, bytes }: SyncPlan) {
        shown.bar?.stop();
        const { id } = to.store;
        output.say(`${id} lacks ${formatCount(steps.length, 'entry', 'entries')} with ${formatBytes(bytes)}`);
        shown.bar = progress(`copying to ${id}`, bytes);
      },
      onProgress: (doneBytes) => shown.bar?.update(doneBytes),
    });
  } finally {
    shown.bar?.stop();
  }
}

function lackingWords(from: Repository, to: Repository, key: string): string {
  return `${key} was removed from ${to.store.id}, and ${from.store.id} does not have these bytes.`;
}

function documentOf(from: Repository, to: Repository, result: Synced) {
  return { from: from.store.id, to: to.store.id, dryRun: false, ...result };
}

/** What `to` lacks all the same; what `from` lacks is another sync. */
function stillMissing({ store }: Repository, { differences }: CatalogComparison): ErrorKind[] {
  const lacks = differences.some((it) => it.kind === 'missing' && it.store === store.id && isMaterial(it));
  return lacks ? ['refused'] : [];
}

function describe(from: Repository, to: Repository, result: Synced): string {
  const { entries, objects, bytes, putBack, lacking, obstacles, comparison } = result;
  const behind = comparison.differences.filter(
    (it) => it.kind === 'missing' && it.store === from.store.id && isMaterial(it),
  );
  return [
    `${to.store.id} got ${formatCount(entries, 'entry', 'entries')}, with ${formatCount(objects, 'object')} of ${formatBytes(bytes)}`,
    ...putBack.map((key) => `${to.store.id} got back ${key}, which had been removed there`),
    ...lacking.map((key) => `problem: ${lackingWords(from, to, key)}`),
    ...obstacles.map((obstacle) => `problem: ${wordsOf(obstacle)}`),
    comparison.verdict === 'equal' && lacking.length === 0
      ? `${from.store.id} and ${to.store.id} hold the same GTIDs and the same digests`
      : '',
    behind.length === 0
      ? ''
      : `${from.store.id} lacks ${formatCount(behind.length, 'entry', 'entries')} that ${to.store.id} has: pitrail sync --from ${to.store.id} --to ${from.store.id}`,
  ]
    .filter((line) => line !== '')
    .join('\n');
}
