import { pickCluster } from '../../config/pick.ts';
import { EXIT_CODES } from '../../domain/errors.ts';
import { explainReason } from '../../domain/plan-reasons.ts';
import type { RestorePlan } from '../../domain/restore-plan.ts';
import { openArchive } from '../../restoring/archive.ts';
import { makeRestorePlan } from '../../restoring/make-plan.ts';
import { defineCommand } from '../command.ts';
import { isDegraded, sayFallovers, sayPassedOver } from '../restore/degraded.ts';
import { TARGET_OPTIONS, targetSchema } from '../target-options.ts';
import { formatBytes, formatCount, formatSeconds, shortGtids } from '../words.ts';

export const command = defineCommand({
  description:
    'Says what a restore would do, and whether the target can be reached exactly: base, binlogs, transactions, ' +
    'bytes, what is missing. Changes nothing. Exit code 3 where the target cannot be reached.',
  arguments: [],
  options: TARGET_OPTIONS,
  examples: [
    { line: 'pitrail plan --to latest', says: 'up to the last archived transaction' },
    { line: 'pitrail plan --to 2026-11-20T10:32:05.123456Z --json', says: 'up to a time, as JSON' },
    {
      line: 'pitrail plan --to before:3e11fa47-71ca-11e1-9e33-c80aa9429562:4711',
      says: 'up to just before a transaction',
    },
  ],
  schema: targetSchema,
  async run(context, { options }) {
    const cluster = pickCluster(await context.config(), options.cluster);
    const archive = await openArchive(cluster, options.store);
    try {
      sayPassedOver(context.output, archive.passedOver);
      const input = { target: options.to, skipGtids: options.skipGtid, timeline: options.timeline };
      const plan = await makeRestorePlan(archive, input, context.signal);
      context.output.result(plan, () => describePlan(plan));
      if (plan.verdict.status === 'REFUSED') return EXIT_CODES.refused;
      sayFallovers(context.output, archive.fallovers);
      return isDegraded(archive) ? EXIT_CODES.unavailable : 0;
    } finally {
      await archive.close();
    }
  },
});

/** The plan in words, one fact a line. */
export function describePlan(plan: RestorePlan): string {
  const { verdict, base } = plan;
  const lines = [
    `${verdict.status === 'PASS' ? 'This target can be reached exactly.' : 'REFUSED: this target cannot be reached exactly.'}`,
    `  target          ${plan.target} (timeline ${plan.timeline})`,
  ];
  if (base !== null) {
    const last = plan.lastIncluded;
    const next = plan.firstExcluded;
    lines.push(
      `  base            ${base.backupId}, ${formatBytes(base.dataBytes)}, ${shortGtids(base.gtidExecuted)}`,
      `  replay          ${formatCount(plan.transactions, 'transaction')} from ${formatCount(plan.segments.length, 'binlog')}`,
      `  read from       ${storesRead(plan, base.stores)}`,
      `  to fetch        ${formatBytes(plan.bytes.base + plan.bytes.segments)}, about ${formatSeconds(plan.estimatedSeconds)} in all`,
      `  last applied    ${last === null ? 'the base itself' : `${last.gtid}${atTime(last.committedAt)}, ${last.binlog}:${last.position}`}`,
      `  first left out  ${next === null ? 'none: nothing later is archived' : `${next.gtid}${atTime(next.committedAt)}, ${next.binlog}:${next.position}`}`,
      `  gtid_executed   ${shortGtids(plan.expectedGtids)}`,
    );
  }
  for (const reason of verdict.reasons) lines.push(`  - ${explainReason(reason)}`);
  return lines.join('\n');
}

/** Each object from the best store that holds it. */
function storesRead({ segments }: RestorePlan, base: readonly string[]): string {
  const byStore = Map.groupBy(segments, ({ stores }) => stores[0] ?? '');
  const logs = [...byStore].map(([store, own]) => `${store} (${formatCount(own.length, 'binlog')})`);
  return [`${base[0]} (base)`, ...logs].join(', ');
}

function atTime(committedAt: string | null): string {
  return committedAt === null ? '' : ` committed at ${committedAt}`;
}
