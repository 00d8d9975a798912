import { join } from 'node:path';
import { AppError } from '../../domain/errors.ts';
import { readGtidExecuted } from '../../mysql/facts.ts';
import type { Output } from '../output.ts';
import { formatCount, formatSeconds } from '../words.ts';
import type { ArchiveDocument, LocateDocument, RestoreDocument } from './documents.ts';
import type { Traffic } from './shop.ts';
import {
  applySettings,
  beginTraffic,
  CONNECTIONS,
  STRETCH,
  startWorld,
  takeBackup,
  untilCommitted,
  type World,
} from './steps.ts';
import { Story } from './story.ts';
import { replicaStoppedBefore, rowCounts, startRestored } from './truth.ts';
import type { Started } from './world.ts';

const LOST_TABLE = 'shop.order_items';

/** What the quickstart proved. */
export interface QuickstartResult {
  readonly status: 'proved';
  readonly dir: string;
  readonly temporalUi: string;
  readonly accident: string;
  readonly restored: RestoreDocument;
  readonly tables: readonly {
    readonly table: string;
    readonly rows: number;
    readonly checksum: string | null;
  }[];
  readonly steps: Story['records'];
  readonly seconds: number;
}

/**
 * Plays the whole main job on real servers in `dir`: archive, base backup, accident, locate, restore, and
 * the comparison with a replica that MySQL itself stopped before the accident.
 * @throws corrupt `QuickstartMismatch` where a restored table differs from the truth
 */
export async function runQuickstart(
  dir: string,
  started: Started,
  output: Output,
  signal: AbortSignal,
): Promise<QuickstartResult> {
  const story = new Story(output);
  const begunAt = performance.now();
  const world = await story.step('Start MySQL, Temporal and a pitrail worker', null, () =>
    startWorld(dir, started, signal),
  );
  const { pitrail } = world;
  await story.step('Open the repository and begin archiving', pitrail.line(['apply']), () =>
    applySettings(world),
  );
  const traffic = await story.step(`Traffic from ${CONNECTIONS} connections`, null, () =>
    beginTraffic(world),
  );
  await story.step('Take a base backup while the traffic goes on', pitrail.line(['backup']), () =>
    takeBackup(world),
  );
  const since = await story.step('More traffic', null, () => moreTraffic(traffic));
  await story.step(`The accident: DROP TABLE ${LOST_TABLE}`, null, () => accident(world, traffic));
  await story.step('Archive all that happened', pitrail.line(['archive', '--once']), () => archiveAll(world));
  const locate = ['locate', '--table', LOST_TABLE, '--op', 'drop', '--since', since];
  const gtid = await story.step('Find the accident in the archive', pitrail.line(locate), () =>
    findAccident(world, locate),
  );
  const targetDir = join(dir, 'restored');
  const restore = ['restore', '--to', `before:${gtid}`, '--target-dir', targetDir];
  const restored = await story.step('Restore to just before it', pitrail.line(restore), () =>
    restoreBefore(world, restore),
  );
  const tables = await story.step(
    'Compare with the truth: a replica that MySQL stopped at the same place',
    null,
    () => compare(world, gtid, targetDir, restored),
  );
  const seconds = Math.round(performance.now() - begunAt) / 1000;
  return {
    status: 'proved',
    dir,
    temporalUi: world.temporal.ui,
    accident: gtid,
    restored,
    tables,
    steps: story.records,
    seconds,
  };
}

async function moreTraffic(traffic: Traffic) {
  const since = new Date().toISOString();
  await untilCommitted(traffic, traffic.committed() + STRETCH);
  return { value: since, facts: [`${formatCount(traffic.committed(), 'transaction')} so far`] };
}

async function accident({ primary }: World, traffic: Traffic) {
  await primary.root.run(`DROP TABLE ${LOST_TABLE}`);
  await untilCommitted(traffic, traffic.committed() + STRETCH / 3);
  await traffic.stop();
  const total = traffic.committed();
  return { value: total, facts: [`the traffic went on: ${formatCount(total, 'transaction')} in all`] };
}

async function archiveAll({ pitrail, primary }: World) {
  await primary.root.run('FLUSH BINARY LOGS');
  const document = await pitrail.json<ArchiveDocument>(['archive', '--once']);
  const logs = document.sources.reduce((sum, { backlog }) => sum + backlog.logs, 0);
  const executed = await readGtidExecuted(primary.root);
  return {
    value: document,
    facts: [`backlog: ${formatCount(logs, 'binlog')}`, `the server executed ${executed}`],
  };
}

async function findAccident({ pitrail }: World, args: readonly string[]) {
  const { statements } = await pitrail.json<LocateDocument>(args);
  const [found, ...more] = statements;
  if (found === undefined || more.length > 0) {
    throw new AppError({
      code: 'QuickstartMismatch',
      kind: 'corrupt',
      message: `One DROP TABLE was expected in the archive and ${statements.length} were found.`,
    });
  }
  return {
    value: found.gtid,
    facts: [
      `DROP of ${found.tables.join(', ')} is ${found.gtid}, committed at ${found.committedAt ?? 'an unknown time'}, ${found.binlog}:${found.position}`,
    ],
  };
}

async function restoreBefore({ pitrail }: World, args: readonly string[]) {
  const restored = await pitrail.json<RestoreDocument>(args);
  const { plan, fetch, replay, verify } = restored.seconds;
  return {
    value: restored,
    facts: [
      `plan ${formatSeconds(plan)}, fetch ${formatSeconds(fetch)}, replay ${formatSeconds(replay)}, verify ${formatSeconds(verify)}`,
      `last applied: ${restored.lastApplied?.gtid ?? 'the base itself'}`,
      `gtid_executed: ${restored.gtidExecuted}`,
    ],
  };
}

async function compare(world: World, gtid: string, targetDir: string, restored: RestoreDocument) {
  const { started, dir, primary } = world;
  const truth = await replicaStoppedBefore(started, dir, primary, gtid);
  const { server, checksums } = await startRestored(
    started,
    { dir, dataDir: targetDir },
    truth.root,
    restored,
  );
  const rows = await rowCounts(server.root);
  const tables = [...checksums].map(([table, checksum]) => ({ table, checksum, rows: rows.get(table) ?? 0 }));
  return {
    value: tables,
    facts: [
      ...tables.map(
        ({ table, rows, checksum }) =>
          `${table.padEnd(17)} ${String(rows).padStart(7)} rows, checksum ${checksum}: equal`,
      ),
      'every table is exactly as it was just before the accident',
    ],
  };
}
