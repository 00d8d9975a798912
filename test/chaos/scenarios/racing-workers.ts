import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { runTool } from '../../../src/process/run.ts';
import { startProcess } from '../../../src/process/start.ts';
import { startTemporalServer } from '../../support/temporal.ts';
import { startWorkload } from '../../support/workload.ts';
import { until } from '../../workflow/archive-world.ts';
import { type ChaosWorld, startChaosWorld, stopwatch } from '../chaos-world.ts';
import { untilArchived } from '../held.ts';
import { proveEqualTo } from '../prove.ts';
import type { Invariant, Scenario } from '../scenario.ts';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));

/** Two installations that know nothing of each other archive one source into the same stores. */
export const racingWorkers: Scenario = {
  name: 'two-workers-race',
  fault: 'two installations with a Temporal each archive one source into the same stores',
  async run() {
    const world = await startChaosWorld({ rotateSeconds: 1 });
    const rival = await startRival(world);
    try {
      const took = stopwatch();
      const load = await startWorkload(world.mysql, { connections: 2, pauseMs: 10 });
      const before = (await world.archived()).length;
      await until(
        'both have had some logs to race for',
        async () => (await world.archived()).length >= before + 8,
      );
      await load.stop();
      await world.mysql.run('FLUSH BINARY LOGS');
      const committed = await world.mysql.gtidExecuted();
      await untilArchived(world.stores, committed);
      const recoverySeconds = took();
      const proof = await proveEqualTo(world, world.mysql);
      return {
        ...proof,
        invariants: [...proof.invariants, await once(world), await bothWrote(world)],
        recoverySeconds,
        recovered: 'all that was committed under load is archived',
      };
    } finally {
      await rival.stop();
      await world.stop();
    }
  },
};

async function startRival(world: ChaosWorld) {
  const temporal = await startTemporalServer();
  const config = parse(await readFile(world.config, 'utf8'));
  config.temporal.address = temporal.address;
  config.clusters.shop.archive.stagingDir = 'staging-of-the-rival';
  const file = join(world.dir, 'rival.yaml');
  await writeFile(file, stringify(config));
  const run = { program: process.execPath, args: [MAIN] };
  const logFile = join(world.dir, 'rival.log');
  const worker = await startProcess(run, ['--config', file, 'worker'], { logFile });
  await until('the rival polls', async () => (await readFile(logFile, 'utf8')).includes('works on'));
  await runTool(run, ['--config', file, 'apply'], { timeoutMs: 120_000 });
  return {
    async stop() {
      await worker.stop();
      await temporal.stop();
    },
  };
}

async function once(world: ChaosWorld): Promise<Invariant> {
  const segments = (await world.catalog()).allSegments();
  const transactions = segments.reduce((sum, { segment }) => sum + BigInt(segment.transactions), 0n);
  const distinct = GtidSet.unionAll(segments.map(({ segment }) => GtidSet.parse(segment.gtids))).count();
  return {
    name: 'each transaction lies in one archived log',
    ok: transactions === distinct,
    detail: `${transactions} transactions in ${segments.length} logs, ${distinct} distinct`,
  };
}

/** Without it nobody raced. */
async function bothWrote(world: ChaosWorld): Promise<Invariant> {
  const writers = new Set((await world.catalog()).allSegments().map(({ writer }) => writer));
  return {
    name: 'both wrote entries',
    ok: writers.size >= 2,
    detail: [...writers].map((writer) => writer.split('/').slice(1).join('/')).join(', '),
  };
}
