import { randomBytes } from 'node:crypto';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { openStore } from '../../../src/storage/open-store.ts';
import { startS3, type TestS3 } from '../../support/s3.ts';
import { type TcpProxy, tcpProxy } from '../../support/tcp-proxy.ts';
import { placeOrders, startWorkload } from '../../support/workload.ts';
import { filesUnder, until } from '../../workflow/archive-world.ts';
import type { HandoffWorldOptions } from '../../workflow/handoff-world.ts';
import {
  acknowledgedIn,
  type ChaosWorld,
  startChaosWorld,
  stopwatch,
  untilArchived,
} from '../chaos-world.ts';
import { proveArchive } from '../prove.ts';
import type { Invariant, Scenario } from '../scenario.ts';

/** A required store dies under load and comes back: what it lacks lies staged meanwhile, and drains. */
export const storeDies: Scenario = {
  name: 'store-dies-under-load',
  fault: 'a required store killed under load, started again',
  async run() {
    const bucket = await startBucket();
    const world = await startBucketWorld(bucket);
    try {
      const load = await startWorkload(world.mysql, { connections: 2, pauseMs: 20 });
      await bucket.s3.kill();
      // The server closes logs by itself, too: none of them may wait where a purge can take it away.
      await world.mysql.run(
        'FLUSH BINARY LOGS',
        'DO SLEEP(1)',
        'FLUSH BINARY LOGS',
        'DO SLEEP(1)',
        'FLUSH BINARY LOGS',
      );
      const closed = (await world.closed()).slice(-2);
      await until(
        'they are staged meanwhile',
        async () => {
          const staged = await world.staged();
          return closed.every((name) => staged.some((file) => file.startsWith(`${name}.`)));
        },
        120_000,
      );
      await load.stop();
      const committed = await world.mysql.gtidExecuted();
      await bucket.s3.start();
      const took = stopwatch();
      await world.mysql.run('FLUSH BINARY LOGS');
      await untilArchived(world.stores, committed, 180_000);
      const recoverySeconds = took();
      return await proveDrained(world, recoverySeconds);
    } finally {
      await world.stop();
      await bucket.stop();
    }
  },
};

/** The only required store dies under load: a catch-up store counts for it until it is back and equal. */
export const anotherStoreCounts: Scenario = {
  name: 'store-dies-another-counts',
  fault: 'the only required store killed under load, a catch-up store stands in, both switched back',
  async run() {
    const bucket = await startBucket();
    const world = await startBucketWorld(bucket, { main: { policy: 'catch-up' } });
    try {
      await untilArchived(world.stores, await world.mysql.gtidExecuted());
      const load = await startWorkload(world.mysql, { connections: 2, pauseMs: 20 });
      const took = stopwatch();
      await bucket.s3.kill();
      await until('another store counts', async () => (await storeSwitches(world)).length === 1);
      const counted = (await world.archived()).length;
      await until('archiving goes on', async () => (await world.archived()).length > counted);
      const recoverySeconds = took();
      await load.stop();
      const committed = await world.mysql.gtidExecuted();
      await bucket.s3.start();
      await until('it counts again', async () => (await storeSwitches(world)).length === 2, 180_000);
      await untilArchived(world.stores, committed, 180_000);
      const findings = await proveDrained(world, recoverySeconds);
      const routes = (await storeSwitches(world)).map(({ from, to }) => `${from} to ${to}`);
      const switched: Invariant = {
        name: 'the store counts again once both are equal',
        ok: routes.join(', ') === 's3 to main, main to s3',
        detail: routes.join(', '),
      };
      const recovered = 'the first log is archived by the stand-in';
      return { ...findings, recovered, invariants: [...findings.invariants, switched] };
    } finally {
      await world.stop();
      await bucket.stop();
    }
  },
};

async function storeSwitches(world: ChaosWorld): Promise<{ readonly from: string; readonly to: string }[]> {
  const handoffs = (await world.catalog()).handoffs();
  return handoffs.flatMap(({ route }) => (route.kind === 'store' ? [route] : []));
}

/** The store dies in the middle of a multipart upload. */
export const storeDiesInUpload: Scenario = {
  name: 'store-dies-in-multipart',
  fault: 'a required store killed in the middle of a multipart upload, started again',
  async run() {
    const bucket = await startBucket();
    const world = await startBucketWorld(bucket);
    try {
      await untilArchived(world.stores, await world.mysql.gtidExecuted());
      // Random bytes do not get smaller: the upload takes several parts.
      await world.mysql.run('CREATE TABLE d.large (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)');
      const session = await world.mysql.connect();
      for (let part = 0; part < 24; part += 1)
        await session.run('INSERT INTO d.large (v) VALUES (?)', [randomBytes(1024 * 1024)]);
      await session.close();
      await world.mysql.run('FLUSH BINARY LOGS');
      const committed = await world.mysql.gtidExecuted();
      const sent = bucket.proxy.passed('to-server');
      await until(
        'a part is under way',
        async () => bucket.proxy.passed('to-server') > sent + 12 * 1024 * 1024,
      );
      await bucket.s3.kill();
      const took = stopwatch();
      await bucket.s3.start();
      await untilArchived(world.stores, committed, 180_000);
      const recoverySeconds = took();
      return await proveDrained(world, recoverySeconds);
    } finally {
      await world.stop();
      await bucket.stop();
    }
  },
};

/** No handoff by itself: here a store fails, no source. */
const QUIET = { after: 3_600, lagSeconds: 3_600 };

interface Bucket {
  readonly s3: TestS3;
  readonly proxy: TcpProxy;
  /** As in pitrail.yaml. */
  readonly entry: unknown;
  stop(): Promise<void>;
}

async function startBucket(): Promise<Bucket> {
  const s3 = await startS3();
  const proxy = await tcpProxy({ host: s3.host, port: s3.port });
  const { bucket, region, credentials } = s3;
  process.env['PITRAIL_CHAOS_KEY'] = credentials.accessKeyId;
  process.env['PITRAIL_CHAOS_SECRET'] = credentials.secretAccessKey;
  const entry = {
    id: 's3',
    s3: {
      bucket,
      region,
      endpoint: `http://${proxy.host}:${proxy.port}`,
      pathStyle: true,
      accessKeyId: { env: 'PITRAIL_CHAOS_KEY' },
      secretAccessKey: { env: 'PITRAIL_CHAOS_SECRET' },
    },
  };
  return {
    s3,
    proxy,
    entry,
    async stop() {
      await proxy.stop();
      await s3.stop();
    },
  };
}

async function startBucketWorld({ s3, entry }: Bucket, more: HandoffWorldOptions = {}): Promise<ChaosWorld> {
  const world = await startChaosWorld({ stores: [entry], fallback: QUIET, rotateSeconds: 1, ...more });
  const { bucket, region, endpoint } = s3;
  const store = await openStore({
    kind: 's3',
    id: 's3',
    bucket,
    region,
    prefix: '',
    endpoint,
    caFile: null,
    pathStyle: true,
    credentials: {
      accessKeyId: { env: 'PITRAIL_CHAOS_KEY' },
      secretAccessKey: { env: 'PITRAIL_CHAOS_SECRET' },
    },
  });
  return {
    ...world,
    stores: [world.store, store],
    async stop() {
      await store.close();
      await world.stop();
    },
  };
}

async function proveDrained(world: ChaosWorld, recoverySeconds: number) {
  await placeOrders(world.mysql, 5, 30);
  const committed = await world.mysql.gtidExecuted();
  await untilArchived(world.stores, committed);
  await until('nothing is staged any more', async () => (await filesUnder(world.stagingDir)).length === 0);
  const acknowledged = (await acknowledgedIn(world.stores)).union(GtidSet.parse(committed));
  const proof = await proveArchive(world, world.stores, { acknowledged, equals: world.mysql });
  return { ...proof, recoverySeconds, recovered: 'the store has all that was committed meanwhile' };
}
