import { z } from 'zod';
import { openRepositories } from '../../archiving/repositories.ts';
import { pickCluster, pickSource, pickStore } from '../../config/pick.ts';
import type { ClusterConfig } from '../../config/types.ts';
import { holderOf } from '../../domain/routing/handoff-facts.ts';
import { readStanding } from '../../handoff/manifests.ts';
import { defineCommand } from '../command.ts';
import { describeHandoff, exitOfHandoff } from '../handoff/report.ts';
import { runHandoff } from '../handoff/run-handoff.ts';
import { describeStorePlan, exitOfStorePlan, planStoreSwitch } from '../handoff/store-plan.ts';

export const command = defineCommand({
  description:
    'Hands the archive of a cluster to another source: a replica, or the primary after a switchover. Checks that the new source has all that is archived and that nothing is missing between, ' +
    'fences the old writer by a boundary in the catalogs, starts archiving of the new source, and proves continuity and lag. Run again it changes nothing. ' +
    'Exit code 0 where the archive goes on, proven; 3 where it was refused and nothing was done, with every GTID that is lost, errant or missing; 75 where it is not proven yet, or a store lacks it.',
  arguments: [],
  options: [
    { flags: '--to <source>', description: 'the source that goes on' },
    {
      flags: '--from <source>',
      description: 'the source that is archived now (default: as the catalogs say)',
    },
    { flags: '--cluster <name>', description: 'the cluster (default: the only one)' },
    {
      flags: '--policy <policy>',
      description:
        'refuse or resync: what to do where the new source is no continuation (default: as pitrail.yaml says)',
    },
    { flags: '--dry-run', description: 'say what would be done, and change nothing' },
    {
      flags: '--store <store>',
      description: 'with --dry-run: which store would count in the place of this one, if it failed',
    },
    { flags: '--to-store <store>', description: 'with --store: could this one?' },
  ],
  examples: [
    { line: 'pitrail handoff --to shop-2 --dry-run', says: 'could the replica go on?' },
    { line: 'pitrail handoff --store main --dry-run', says: 'if this store failed, which one would count?' },
    { line: 'pitrail handoff --to shop-2', says: 'after shop-1 failed, or before it goes' },
    {
      line: 'pitrail handoff --to shop-2 --policy resync',
      says: 'transactions were lost: begin anew with a base backup',
    },
  ],
  schema: z
    .strictObject({
      to: z.string().nullable().default(null),
      from: z.string().nullable().default(null),
      cluster: z.string().nullable().default(null),
      policy: z.enum(['refuse', 'resync']).nullable().default(null),
      dryRun: z.boolean().default(false),
      store: z.string().nullable().default(null),
      toStore: z.string().nullable().default(null),
    })
    .transform((options, context) => {
      const bad = (option: keyof typeof options, message: string) => {
        context.addIssue({ code: 'custom', path: [option], message });
        return z.NEVER;
      };
      const { to, store, toStore, ...more } = options;
      if (store === null) {
        if (toStore !== null) return bad('toStore', 'needs --store');
        if (to === null) return bad('to', 'say which source goes on: --to SOURCE');
        return { kind: 'source' as const, to, ...more };
      }
      if (to !== null) return bad('to', 'names a source, and --store a store: give one of them');
      if (!more.dryRun) return bad('store', 'goes with --dry-run: stores are switched by themselves');
      return { kind: 'store' as const, store, toStore, cluster: more.cluster };
    }),
  async run(context, { options }) {
    const config = await context.config();
    const cluster = pickCluster(config, options.cluster);
    if (options.kind === 'store') {
      const store = pickStore(config, cluster, options.store).id;
      const toStore = options.toStore === null ? null : pickStore(config, cluster, options.toStore).id;
      const answer = await planStoreSwitch(cluster, config, { store, toStore });
      context.output.result(answer, () => describeStorePlan(answer));
      return exitOfStorePlan(answer);
    }
    const to = pickSource(config, cluster, options.to, '--to').id;
    const from = options.from === null ? null : pickSource(config, cluster, options.from, '--from').id;
    const epoch = await epochOf(cluster, to);
    const name = `handoff/${cluster.name}/${epoch}`;
    const result = await runHandoff(
      context,
      config,
      options.dryRun ? `${name}/dry-run/${new Date().toISOString()}` : name,
      {
        cluster: cluster.name,
        to,
        from,
        policy: options.policy,
        mode: options.dryRun ? 'dry-run' : 'hand-over',
        trigger: { kind: 'operator' },
        waitSeconds: 60,
        validateSeconds: 600,
      },
    );
    context.output.result(result, () => describeHandoff(result));
    return exitOfHandoff(result);
  },
});

/** The epoch that the handoff raises; where the source holds the archive already, the one that did it. */
async function epochOf(cluster: ClusterConfig, to: string): Promise<number> {
  const repositories = await openRepositories(cluster);
  try {
    const { stores, epoch } = await readStanding(repositories, {
      from: to,
      first: { kind: 'several' },
      stores: cluster.stores,
    });
    const newest = stores
      .flatMap((it) => (it.kind === 'read' && it.lastHandoff !== null ? [it.lastHandoff] : []))
      .toSorted((a, b) => b.epoch - a.epoch)[0];
    return newest !== undefined && holderOf(newest)?.source === to ? newest.epoch : epoch + 1;
  } finally {
    await repositories.close();
  }
}
