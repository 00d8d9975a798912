import { z } from 'zod';
import { pickCluster } from '../../config/pick.ts';
import { checkClusterReferences } from '../../config/references.ts';
import { weakTransports } from '../../config/transport.ts';
import type { ClusterConfig, PitrailConfig } from '../../config/types.ts';
import { checkAudit } from '../checks/audit.ts';
import { checkBacklog } from '../checks/backlog.ts';
import { checkClusterSources } from '../checks/cluster-sources.ts';
import { type CheckFinding, exitOf, failedBy, findingsOf, ok, warning } from '../checks/finding.ts';
import { checkSource } from '../checks/source.ts';
import { checkStores } from '../checks/store.ts';
import { checkTemporal } from '../checks/temporal.ts';
import { checkTools } from '../checks/tools.ts';
import { type CliContext, defineCommand } from '../command.ts';
import { formatCount } from '../words.ts';

export const command = defineCommand({
  description:
    'Says of every part whether it works: secrets and keys, each server (settings, privileges too few and too many, files), ' +
    'each store (what it can do, whether its catalog is whole, whether the key opens what is in it), Temporal and its workers, and the programs that are started. ' +
    'Changes nothing but a small probe object in each store. The exit code is that of the worst failure; warnings alone are 0.',
  arguments: [],
  options: [{ flags: '--cluster <name>', description: 'only this cluster (default: all)' }],
  examples: [
    { line: 'pitrail check', says: 'everything that the configuration names' },
    {
      line: 'pitrail check --json | jq \'.findings[] | select(.status != "ok")\'',
      says: 'only what is not right',
    },
  ],
  schema: z.strictObject({ cluster: z.string().optional() }),
  async run(context, { options }) {
    const config = await context.config();
    const clusters = options.cluster === undefined ? config.clusters : [pickCluster(config, options.cluster)];
    const findings = await checkAll(context, { ...config, clusters });
    const exitCode = exitOf(findings);
    const document = { status: statusOf(findings), exitCode, file: config.file, findings };
    context.output.result(document, () => reportOf(config.file, findings));
    return exitCode;
  },
});

async function checkAll(context: CliContext, config: PitrailConfig): Promise<readonly CheckFinding[]> {
  const file = ok('config', `${config.file} is right`);
  const clusters = await Promise.all(
    config.clusters.map((cluster) => checkCluster(context, config, cluster)),
  );
  context.signal.throwIfAborted();
  const rest = await Promise.all([checkTemporal(config), checkTools(config.clusters)]);
  return [file, ...clusters.flat(), ...rest.flat()];
}

async function checkCluster(
  { env }: CliContext,
  config: PitrailConfig,
  cluster: ClusterConfig,
): Promise<readonly CheckFinding[]> {
  const [keys, sources, stores, audit] = await Promise.all([
    checkKeys(cluster, env),
    Promise.all(cluster.sources.map((source) => checkSource(cluster.name, source, cluster.archive))),
    checkStores(cluster),
    checkAudit(cluster),
  ]);
  const histories = sources.map(({ history }) => history);
  const checked = sources.flatMap(({ findings }) => findings);
  const known = [...keys, ...checked, ...checkClusterSources(cluster, histories), ...stores, ...audit];
  const backlogs = await Promise.all(
    cluster.sources.map((source) => checkBacklog(config, cluster.name, source, known)),
  );
  const weak = weakTransports(cluster).map(({ part, message, hint }) => warning(part, message, hint));
  return [...known, ...backlogs.flat(), ...weak];
}

function checkKeys(cluster: ClusterConfig, env: NodeJS.ProcessEnv): Promise<readonly CheckFinding[]> {
  const part = `keys ${cluster.name}`;
  return findingsOf(part, async () => {
    const references = await checkClusterReferences(cluster, env);
    const findings = references.map((it) =>
      it.status === 'usable'
        ? ok(part, `${it.what} can be read, and not by others`)
        : failedBy(part, it.error),
    );
    if (cluster.encryption.kind !== 'none') return findings;
    const hint = 'Make a key (openssl rand -hex 32, mode 0600) and say encryption: { keyFile: PATH }.';
    return [...findings, warning(part, 'what is stored is not encrypted (encryption: none).', hint)];
  });
}

function statusOf(findings: readonly CheckFinding[]): CheckFinding['status'] {
  if (findings.some(({ status }) => status === 'failed')) return 'failed';
  return findings.some(({ status }) => status === 'warning') ? 'warning' : 'ok';
}

const MARKS: Readonly<Record<CheckFinding['status'], string>> = {
  ok: 'ok      ',
  warning: 'warning ',
  failed: 'FAILED  ',
};

function reportOf(file: string, findings: readonly CheckFinding[]): string {
  const lines = findings.flatMap((finding) => [
    `${MARKS[finding.status]}${finding.part}: ${finding.message}`,
    ...(finding.status === 'ok' || finding.hint === '' ? [] : [`        hint: ${finding.hint}`]),
  ]);
  const count = (status: CheckFinding['status']) =>
    findings.filter((finding) => finding.status === status).length;
  const [failures, warnings] = [count('failed'), count('warning')];
  const verdict =
    failures > 0
      ? `${formatCount(failures, 'failure')} and ${formatCount(warnings, 'warning')}: not everything works.`
      : warnings > 0
        ? `All works, with ${formatCount(warnings, 'warning')}.`
        : `All that ${file} names works.`;
  return [...lines, '', verdict].join('\n');
}
