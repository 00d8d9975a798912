import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { startWorkload } from '../../support/workload.ts';
import { until } from '../../workflow/archive-world.ts';
import { type Bucket, startS3Bucket, withBuckets } from '../buckets.ts';
import { type ChaosWorld, QUIET, startChaosWorld, stopwatch } from '../chaos-world.ts';
import { proveDrained } from '../drain.ts';
import { acknowledgedIn, archivedIn, binlogsIn, untilArchived } from '../held.ts';
import type { Invariant, Scenario, ScenarioFindings } from '../scenario.ts';
import { watchPromises } from '../watch-promises.ts';

/** Slower than what the load writes, and quick enough for a store that is small: it answers what it is asked. */
const LINE = { kind: 'thin', delayMs: 100, bytesPerSecond: 3_000 } as const;

/** A required store answers, and takes few bytes a second: it delays what counts, and no other store. */
export const storeThrottled: Scenario = {
  name: 'store-throttled',
  fault: `the line to a required store throttled to ${LINE.bytesPerSecond} bytes/s a connection under load, then freed`,
  run: () => withBuckets([startS3Bucket], throttle),
};

async function throttle(far: Bucket): Promise<ScenarioFindings> {
  const world = await startChaosWorld({ fallback: QUIET, rotateSeconds: 1, buckets: [far] });
  try {
    await untilArchived(world.stores, await world.mysql.gtidExecuted());
    const promises = watchPromises(world, far.store);
    far.cable.setWeather(LINE);
    far.cable.reset();
    const load = await startWorkload(world.mysql, { connections: 2, pauseMs: 20 });
    const before = (await world.archived()).length;
    await until('main got logs', async () => (await world.archived()).length >= before + 10, 120_000);
    await load.stop();
    const committed = GtidSet.parse(await world.mysql.gtidExecuted());
    await world.mysql.run('FLUSH BINARY LOGS');
    await untilArchived([world.store], committed.toString());
    const apart = [await aheadOf(world, far, committed), await stagedFor(world, far)];
    const took = stopwatch();
    far.cable.setWeather({ kind: 'clear' });
    await untilArchived(world.stores, committed.toString(), 180_000);
    const recoverySeconds = took();
    const findings = await proveDrained(world, recoverySeconds);
    const invariants = [...apart, await promises.stop(), ...findings.invariants];
    return { ...findings, recovered: 'the slow store has all, once its line is free', invariants };
  } finally {
    await world.stop();
  }
}

/** Nobody waited for the slow store where that must not be: the other one holds everything before it. */
async function aheadOf(world: ChaosWorld, far: Bucket, committed: GtidSet): Promise<Invariant> {
  const lacks = committed.subtract(await archivedIn(far.store));
  const held = await acknowledgedIn([world.store]);
  return {
    name: 'archiving goes on to the other store at its own speed',
    ok: committed.isSubsetOf(held) && !lacks.isEmpty,
    detail: `main held all ${committed.count()} transactions while far lacked ${lacks.count()} of them`,
  };
}

/** What the slow store lacks must not hang on the server's own retention. */
async function stagedFor(world: ChaosWorld, far: Bucket): Promise<Invariant> {
  const inMain = (await world.catalog()).allSegments().map(({ segment }) => segment.binlog);
  const staged = await world.staged();
  const inFar = await binlogsIn(far.store);
  const lacked = inMain.filter((binlog) => !inFar.includes(binlog));
  const missing = lacked.filter((binlog) => !staged.some((file) => file.startsWith(`${binlog}.`)));
  return {
    name: 'what the slow store lacks lies staged',
    ok: lacked.length > 0 && missing.length === 0,
    detail: `${lacked.length} logs waited for it, ${missing.length} of them not staged`,
  };
}
