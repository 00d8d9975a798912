import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { addNoise, startWorkload } from '../../support/workload.ts';
import { until } from '../../workflow/archive-world.ts';
import { type Bucket, type S3Bucket, startGcsBucket, startS3Bucket, withBuckets } from '../buckets.ts';
import { type ChaosWorld, QUIET, startChaosWorld, stopwatch } from '../chaos-world.ts';
import { proveDrained } from '../drain.ts';
import { acknowledgedIn, untilArchived } from '../held.ts';
import type { Invariant, Scenario, ScenarioFindings } from '../scenario.ts';

/** No source fails here, and logs are closed often. */
const OPTIONS = { fallback: QUIET, rotateSeconds: 1 };

/** A required store dies under load and comes back: what it lacks lies staged meanwhile, and drains. */
export const storeDies: Scenario = {
  name: 'store-dies-under-load',
  fault: 'a required store killed under load, started again',
  run: () => withBuckets([startS3Bucket], (far) => dieUnderLoad(far, [far])),
};

/** The same with a bucket of each cloud: the one that dies is GCS, and all three stores must be equal again. */
export const gcsDies: Scenario = {
  name: 'gcs-dies-under-load',
  fault: 'of three required stores (folder, S3, GCS) the one in GCS killed under load, started again',
  run: () => withBuckets([startS3Bucket, startGcsBucket], (far, gcs) => dieUnderLoad(gcs, [far, gcs])),
};

async function dieUnderLoad(dies: Bucket, buckets: readonly Bucket[]): Promise<ScenarioFindings> {
  const world = await startChaosWorld({ ...OPTIONS, buckets });
  try {
    const load = await startWorkload(world.mysql, { connections: 2, pauseMs: 20 });
    await dies.kill();
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
    const others = world.stores.filter(({ id }) => id !== dies.id);
    await world.mysql.run('FLUSH BINARY LOGS');
    await untilArchived(others, committed, 120_000);
    const held = await acknowledgedIn(others);
    const goesOn: Invariant = {
      name: 'archiving goes on to the others while it is away',
      ok: GtidSet.parse(committed).isSubsetOf(held),
      detail: `${others.map(({ id }) => id).join(' and ')} held ${held.count()} transactions then`,
    };
    await dies.start();
    const took = stopwatch();
    await untilArchived(world.stores, committed, 180_000);
    const recoverySeconds = took();
    const findings = await proveDrained(world, recoverySeconds);
    return { ...findings, invariants: [goesOn, ...findings.invariants] };
  } finally {
    await world.stop();
  }
}

/** The only required store dies under load: a catch-up store counts for it until it is back and equal. */
export const anotherStoreCounts: Scenario = {
  name: 'store-dies-another-counts',
  fault: 'the only required store killed under load, a catch-up store stands in, both switched back',
  run: () => withBuckets([startS3Bucket], standIn),
};

async function standIn(far: Bucket): Promise<ScenarioFindings> {
  const world = await startChaosWorld({ ...OPTIONS, buckets: [far], main: { policy: 'catch-up' } });
  try {
    await untilArchived(world.stores, await world.mysql.gtidExecuted());
    const load = await startWorkload(world.mysql, { connections: 2, pauseMs: 20 });
    const took = stopwatch();
    await far.kill();
    await until('another store counts', async () => (await storeSwitches(world)).length === 1);
    const counted = (await world.archived()).length;
    await until('archiving goes on', async () => (await world.archived()).length > counted);
    const recoverySeconds = took();
    await load.stop();
    const committed = await world.mysql.gtidExecuted();
    await far.start();
    await until('it counts again', async () => (await storeSwitches(world)).length === 2, 180_000);
    await untilArchived(world.stores, committed, 180_000);
    const findings = await proveDrained(world, recoverySeconds);
    const routes = (await storeSwitches(world)).map(({ from, to }) => `${from} to ${to}`).join(', ');
    const switched: Invariant = {
      name: 'the store counts again once both are equal',
      ok: routes === 'far to main, main to far',
      detail: routes,
    };
    const recovered = 'the first log is archived by the stand-in';
    return { ...findings, recovered, invariants: [...findings.invariants, switched] };
  } finally {
    await world.stop();
  }
}

async function storeSwitches(world: ChaosWorld): Promise<{ readonly from: string; readonly to: string }[]> {
  const handoffs = (await world.catalog()).handoffs();
  return handoffs.flatMap(({ route }) => (route.kind === 'store' ? [route] : []));
}

/** The store dies in the middle of a multipart upload. */
export const storeDiesInUpload: Scenario = {
  name: 'store-dies-in-multipart',
  fault: 'a required store killed in the middle of a multipart upload, started again',
  run: () => withBuckets([startS3Bucket], dieInUpload),
};

async function dieInUpload(far: S3Bucket): Promise<ScenarioFindings> {
  const world = await startChaosWorld({ ...OPTIONS, buckets: [far] });
  try {
    await untilArchived(world.stores, await world.mysql.gtidExecuted());
    // Random bytes do not get smaller: the upload takes several parts, and some seconds for each of them.
    await addNoise(world.mysql, 24);
    far.cable.setWeather({ kind: 'throttle', bytesPerSecond: 3 * 1024 * 1024 });
    await world.mysql.run('FLUSH BINARY LOGS');
    const committed = await world.mysql.gtidExecuted();
    await until('parts were sent', async () => (await far.partsOnDisk()) > 0);
    await far.kill();
    // Nothing changes on its disk any more: an upload that was completed or aborted has no parts there.
    const parts = await far.partsOnDisk();
    far.cable.setWeather({ kind: 'clear' });
    await until('the upload is given up', async () => (await circuitOf(world, far)) !== 'closed', 120_000);
    await far.start();
    const took = stopwatch();
    await untilArchived(world.stores, committed, 180_000);
    const recoverySeconds = took();
    const findings = await proveDrained(world, recoverySeconds);
    const uploads = await far.openUploads();
    const more: Invariant[] = [
      {
        name: 'the store died with parts of an upload that was not completed',
        ok: parts > 0,
        detail: `${parts} parts lay on its disk`,
      },
      {
        name: 'no upload is left open in it',
        ok: uploads.length === 0,
        detail: `it lists ${uploads.length} open uploads`,
      },
    ];
    return { ...findings, invariants: [...findings.invariants, ...more] };
  } finally {
    await world.stop();
  }
}

async function circuitOf(world: ChaosWorld, { id }: S3Bucket): Promise<string | undefined> {
  return (await world.status()).stores.find(({ store }) => store === id)?.circuit.kind;
}
