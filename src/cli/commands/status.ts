import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { pickCluster } from '../../config/pick.ts';
import type { ClusterConfig, PitrailConfig } from '../../config/types.ts';
import { worstExit } from '../checks/finding.ts';
import { defineCommand } from '../command.ts';
import type { Output } from '../output.ts';
import { gatherCluster } from '../status/gather.ts';
import { judgeCluster } from '../status/judge.ts';
import { describeReport, reportOf } from '../status/report.ts';

export const command = defineCommand({
  description:
    'Says for each source and store how far it is archived (GTID and time), how far behind that is, what waits, and from when to when ' +
    'a restore is possible. Asks stores, servers and Temporal; what does not answer is a problem. Exit code 0 only where nothing is degraded.',
  arguments: [],
  options: [
    { flags: '--cluster <name>', description: 'only this cluster (default: all)' },
    { flags: '--watch', description: 'go on until Ctrl-C, with --json a line each time' },
    { flags: '--every <seconds>', description: 'how often with --watch (default: 5)' },
  ],
  examples: [
    { line: 'pitrail status', says: 'every cluster' },
    { line: 'pitrail status --watch', says: 'see backlogs drain' },
    { line: "pitrail status --json | jq '.clusters[].problems'", says: 'for a monitor' },
  ],
  schema: z
    .strictObject({
      cluster: z.string().optional(),
      watch: z.boolean().default(false),
      every: z.coerce.number().min(1, 'must be at least 1').max(3600).optional(),
    })
    .refine(({ watch, every }) => watch || every === undefined, { path: ['every'], error: 'needs --watch' }),
  async run({ config, output, signal }, { options }) {
    const settled = await config();
    const clusters =
      options.cluster === undefined ? settled.clusters : [pickCluster(settled, options.cluster)];
    if (!options.watch) return look(settled, clusters, (document, words) => output.result(document, words));
    return watch(settled, clusters, options.every ?? 5, output, signal);
  },
});

/** Looks again and again until it is stopped. @returns the exit code of the last look */
async function watch(
  config: PitrailConfig,
  clusters: readonly ClusterConfig[],
  everySeconds: number,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  for (;;) {
    let text: Promise<void> = Promise.resolve();
    const code = await look(config, clusters, (document, words) => {
      text = output.item(document, () => `${new Date().toISOString()}\n${words()}\n`);
    });
    await text;
    try {
      await sleep(everySeconds * 1000, undefined, { signal });
    } catch (error) {
      if (signal.aborted) return code;
      throw error;
    }
  }
}

/** Asks everything once, and tells it. @returns the exit code */
async function look(
  config: PitrailConfig,
  clusters: readonly ClusterConfig[],
  tell: (document: unknown, words: () => string) => void,
): Promise<number> {
  const gathered = await Promise.all(clusters.map((cluster) => gatherCluster(cluster, config)));
  const now = Date.now();
  const reports = gathered.map((facts) => ({ facts, report: reportOf(facts, judgeCluster(facts), now) }));
  tell({ clusters: reports.map(({ report }) => report) }, () =>
    reports.map(({ facts, report }) => describeReport(facts, report)).join('\n\n'),
  );
  return worstExit(reports.flatMap(({ report }) => report.problems.map(({ kind }) => kind)));
}
