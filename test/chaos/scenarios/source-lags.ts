import { readFile, writeFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import type { RunningProcess } from '../../../src/process/start.ts';
import { type TcpProxy, tcpProxy } from '../../support/tcp-proxy.ts';
import { addNoise, placeOrders } from '../../support/workload.ts';
import { until } from '../../workflow/archive-world.ts';
import { type ChaosWorld, startChaosWorld, stopwatch } from '../chaos-world.ts';
import { untilArchived } from '../held.ts';
import { reroutedLogs } from '../hosts.ts';
import { proveEqualTo } from '../prove.ts';
import type { Invariant, Scenario } from '../scenario.ts';

/** Long enough that no log waits so long on a busy machine where its line is free. */
const LAG_SECONDS = 20;
/** A look passes in a moment, and a log of 16 MiB takes minutes. */
const LINE = { kind: 'throttle', bytesPerSecond: 60_000 } as const;

/** The source answers every look and its logs come too slowly: the archive lags beyond its limit. */
export const sourceLags: Scenario = {
  name: 'source-lags',
  fault: `the line from the primary, which is read as a replica reads, throttled to ${LINE.bytesPerSecond} bytes/s`,
  async run() {
    const proxy = await tcpProxy({ host: '127.0.0.1', port: 1 });
    const current: { worker: RunningProcess | null } = { worker: null };
    const world = await startChaosWorld({ fallback: { lagSeconds: LAG_SECONDS } }, async (begun) => {
      current.worker = await begun.startWorker();
    });
    try {
      await current.worker?.stop();
      proxy.retarget({ host: world.mysql.host, port: world.mysql.port });
      await readRemotely(world, proxy);
      await world.startWorker();
      await placeOrders(world.mysql, 5, 39);
      await untilArchived(world.stores, await world.mysql.gtidExecuted());
      const stayed = (await world.catalog()).epoch;
      proxy.setWeather(LINE);
      proxy.reset();
      const took = stopwatch();
      await addNoise(world.mysql, 16);
      await world.mysql.run('FLUSH BINARY LOGS');
      await placeOrders(world.mysql, 10, 40);
      await until('the replica is archived', async () => (await reroutedLogs(world)).length > 0, 180_000);
      const recoverySeconds = took();
      await placeOrders(world.mysql, 10, 41);
      await world.replica.catchUp();
      await untilArchived(world.stores, await world.replica.gtidExecuted(), 120_000);
      proxy.setWeather({ kind: 'clear' });
      await until(
        'the old source stands by',
        async () => (await world.statusOf('shop-1')).phase === 'standing-by',
        120_000,
      );
      const proof = await proveEqualTo(world, world.mysql);
      return {
        ...proof,
        recoverySeconds,
        recovered: `the first log of the replica is archived; the limit is ${LAG_SECONDS} s`,
        invariants: [await becauseOfLag(world, stayed), ...proof.invariants],
      };
    } finally {
      await world.stop();
      await proxy.stop();
    }
  },
};

/** Whoever reads over the line depends on it; before, a base backup was taken of the files. */
async function readRemotely(world: ChaosWorld, { host, port }: TcpProxy): Promise<void> {
  const config = parse(await readFile(world.config, 'utf8'));
  const [{ socket: _socket, binlogDir: _binlogDir, ...rest }, ...others] = config.clusters.shop.sources;
  config.clusters.shop.sources = [{ ...rest, mode: 'remote', host, port, tls: 'off' }, ...others];
  await writeFile(world.config, stringify(config));
}

async function becauseOfLag(world: ChaosWorld, stayed: number): Promise<Invariant> {
  const handoffs = (await world.catalog()).handoffs();
  const [made] = handoffs;
  return {
    name: 'it is handed over once, because of its lag, and not before',
    ok: stayed === 1 && handoffs.length === 1 && made?.reason === 'lag',
    detail: `${handoffs.length} handoffs, because of: ${handoffs.map(({ reason }) => reason).join(', ')}`,
  };
}
