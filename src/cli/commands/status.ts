import { z } from 'zod';
import { pickCluster } from '../../config/pick.ts';
import { worstExit } from '../checks/finding.ts';
import { defineCommand } from '../command.ts';
import { gatherCluster } from '../status/gather.ts';
import { judgeCluster } from '../status/judge.ts';
import { describeReport, reportOf } from '../status/report.ts';

export const command = defineCommand({
  description:
    'Says for each source and store how far it is archived (GTID and time), how far behind that is, what waits, and from when to when ' +
    'a restore is possible. Asks stores, servers and Temporal; what does not answer is a problem. Exit code 0 only where nothing is degraded.',
  arguments: [],
  options: [{ flags: '--cluster <name>', description: 'only this cluster (default: all)' }],
  examples: [
    { line: 'pitrail status', says: 'every cluster' },
    { line: "pitrail status --json | jq '.clusters[].problems'", says: 'for a monitor' },
  ],
  schema: z.strictObject({ cluster: z.string().optional() }),
  async run({ config, output }, { options }) {
    const settled = await config();
    const clusters =
      options.cluster === undefined ? settled.clusters : [pickCluster(settled, options.cluster)];
    const gathered = await Promise.all(clusters.map((cluster) => gatherCluster(cluster, settled)));
    const now = Date.now();
    const reports = gathered.map((facts) => ({ facts, report: reportOf(facts, judgeCluster(facts), now) }));
    output.result({ clusters: reports.map(({ report }) => report) }, () =>
      reports.map(({ facts, report }) => describeReport(facts, report)).join('\n\n'),
    );
    return worstExit(reports.flatMap(({ report }) => report.problems.map(({ kind }) => kind)));
  },
});
