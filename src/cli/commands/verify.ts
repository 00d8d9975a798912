import { z } from 'zod';
import { openRepositories, type Repositories, type Repository } from '../../archiving/repositories.ts';
import { pickCluster, pickStore } from '../../config/pick.ts';
import type { EnvelopeKey } from '../../envelope/keys.ts';
import { disagreementOf } from '../../restoring/read-union.ts';
import { type StoreVerification, type VerifyDepth, verifyStore } from '../../verifying/verify-store.ts';
import { worstExit } from '../checks/finding.ts';
import { type CliContext, defineCommand } from '../command.ts';
import { withBar } from '../progress.ts';
import { compareAll, judgeVerification } from '../verify/judge.ts';
import { describeVerification, verifyReport } from '../verify/report.ts';

/** Looking costs a request; proving costs memory and both cores. */
const PARALLEL: Readonly<Record<VerifyDepth, number>> = { look: 16, prove: 2 };

export const command = defineCommand({
  description:
    'Walks the catalog of each store, entry by entry, and every object that it names; prints the contiguous ranges, and every difference between the stores. ' +
    'With --deep each object is read, decrypted and compared, each binlog scanned. Changes nothing. ' +
    'Exit code 0 only where all is whole and equal; 4 for damage, 5 where stores contradict each other, 75 where one lacks something or does not answer.',
  arguments: [],
  options: [
    { flags: '--deep', description: 'read, decrypt and compare every object, and scan every binlog' },
    { flags: '--store <id>', description: 'only this store (default: all)' },
    { flags: '--cluster <name>', description: 'the cluster (default: the only one)' },
  ],
  examples: [
    { line: 'pitrail verify', says: 'every store of the cluster, and whether they are equal' },
    { line: "pitrail verify --deep --json | jq '.problems'", says: 'once a month' },
  ],
  schema: z.strictObject({
    deep: z.boolean().default(false),
    store: z.string().nullable().default(null),
    cluster: z.string().nullable().default(null),
  }),
  async run(context, { options }) {
    const config = await context.config();
    const cluster = pickCluster(config, options.cluster);
    const chosen = options.store === null ? null : pickStore(config, cluster, options.store).id;
    const depth: VerifyDepth = options.deep ? 'prove' : 'look';
    const repositories = await openRepositories(cluster);
    try {
      const stores: StoreVerification[] = [];
      for (const repository of repositories.all) {
        if (chosen !== null && repository.store.id !== chosen) continue;
        stores.push(await verifyWithBar(context, repository, repositories.key, depth));
      }
      const comparisons = compareAll(stores);
      const problems = judgeVerification(stores, comparisons, disagreementOf(readIn(repositories, stores)));
      const report = verifyReport(cluster.name, depth, stores, comparisons, problems);
      context.output.result(report, () => describeVerification(report, stores));
      return worstExit(problems.map(({ kind }) => kind));
    } finally {
      await repositories.close();
    }
  },
});

/** The catalogs of the stores that were walked. */
function readIn({ all }: Repositories, stores: readonly StoreVerification[]) {
  const walked = new Set(stores.filter(({ status }) => status === 'verified').map(({ store }) => store));
  return all.flatMap(({ store, catalog: { known } }) =>
    known === null || !walked.has(store.id) ? [] : [{ id: store.id, state: known }],
  );
}

async function verifyWithBar(
  { progress, signal }: CliContext,
  repository: Repository,
  key: EnvelopeKey,
  depth: VerifyDepth,
): Promise<StoreVerification> {
  return withBar(progress, (bar) =>
    verifyStore({
      repository,
      key,
      depth,
      parallel: PARALLEL[depth],
      signal,
      onStart: (totalBytes) => bar.begin(`verifying ${repository.store.id}`, totalBytes),
      onProgress: bar.update,
    }),
  );
}
