/**
 * Promise: the archive leaves a source because of its lag only where the source is to blame. A slow store, and one
 * that takes nothing, are the same for every source: a handoff would begin each transfer from zero.
 */
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { type Fault, type HttpFaults, httpFaults, PASS, s3ErrorBody } from '../contract/http-fault.ts';
import { addNoise, placeOrders } from '../support/workload.ts';
import { until } from './archive-world.ts';
import { type FarStore, soon, startFarStore } from './far-store.ts';
import { type HandoffWorld, startHandoffWorld } from './handoff-world.ts';

const LAG_SECONDS = 5;
/** By then a watch that asks nobody has handed over several times. */
const LONG_MS = 6 * LAG_SECONDS * 1000;

let world: HandoffWorld;
let far: FarStore;
let faults: HttpFaults;

before(async () => {
  far = await startFarStore();
  faults = await httpFaults(far.s3);
  far.cable.retarget({ host: '127.0.0.1', port: Number(new URL(faults.endpoint).port) });
  world = await startHandoffWorld({
    stores: [{ ...far.entry, policy: 'required' }],
    fallback: { lagSeconds: LAG_SECONDS },
  });
  await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  await world.mysql.run('FLUSH BINARY LOGS');
  await soon('the primary is archived', async () => (await inFar()).length > 0);
  await until('it is watched', async () => (await world.watching()).phase === 'watching');
});
after(async () => {
  await world.stop();
  await faults.stop();
  await far.stop();
});

async function inFar(): Promise<string[]> {
  return (await openCatalog(far.bucket).read()).allSegments().map(({ segment }) => segment.binlog);
}

/** Closes the log that the primary writes now, and gives back its name. */
async function rotated(seed: number): Promise<string> {
  await placeOrders(world.mysql, 3, seed);
  await world.mysql.run('FLUSH BINARY LOGS');
  return (await world.closed()).at(-1) ?? '';
}

async function assertStayed(): Promise<void> {
  const { source, lastHandoffs } = await world.watching();
  assert.deepEqual([source, lastHandoffs], ['shop-1', []]);
  assert.equal((await world.catalog()).epoch, 1);
}

test('a log whose upload and read-back outlast the limit by far is archived by its own source', async () => {
  await addNoise(world.mysql, 3);
  const began = Date.now();
  far.cable.setWeather({ kind: 'throttle', bytesPerSecond: 200_000 });
  const log = await rotated(1);
  await soon('the slow store has it', async () => (await inFar()).includes(log));
  const tookMs = Date.now() - began;
  far.cable.setWeather({ kind: 'clear' });
  assert.ok(tookMs > 3 * LAG_SECONDS * 1000, `it took only ${tookMs} ms`);
  await assertStayed();
});

const REFUSALS: readonly (readonly [string, Fault])[] = [
  ['is too busy for', { kind: 'answer', status: 503, body: s3ErrorBody('SlowDown') }],
  ['denies', { kind: 'answer', status: 403, body: s3ErrorBody('AccessDenied') }],
];

for (const [what, refusal] of REFUSALS) {
  test(`a required store that reads and ${what} all writes makes no other source take over`, async () => {
    faults.decide = ({ method }) => (method === 'GET' || method === 'HEAD' ? PASS : refusal);
    const log = await rotated(2);
    const closedAt = Date.now();
    await soon('the store is known to fail', async () =>
      (await world.status()).stores.some(
        ({ store, circuit, failure }) => store === 'far' && (circuit.kind !== 'closed' || failure !== null),
      ),
    );
    await until('the log waits for long', async () => Date.now() - closedAt > LONG_MS, 2 * LONG_MS);
    assert.ok(!(await inFar()).includes(log));
    await assertStayed();
    faults.decide = () => PASS;
    await soon('it is archived', async () => (await inFar()).includes(log));
    await assertStayed();
  });
}

test('a log that its source itself holds up is a reason, once, and held against the next one', async () => {
  assert.equal((await world.pitrail('archive', '--pause', '--source', 'shop-1')).code, 0);
  await until('it is paused', async () => (await world.status()).phase === 'paused');
  const log = await rotated(3);
  await world.replica.catchUp();
  const file = await open(join(world.mysql.binlogDir, log), 'r+');
  await file.write(Buffer.from([0xff]), 0, 1, 300);
  await file.close();
  assert.equal((await world.pitrail('archive', '--resume', '--source', 'shop-1')).code, 0);
  await soon('it is handed over', async () => (await world.watching()).lastHandoffs.length > 0);
  const { known, lastHandoffs } = await world.watching();
  assert.deepEqual(
    lastHandoffs.map(({ to, outcome, epoch }) => [to, outcome, epoch]),
    [['shop-2', 'handed-over', 2]],
  );
  assert.equal(known.lagHandoffsMs.length, 1);
  const [boundary] = (await world.rawEntries()).filter(({ body }) => body.kind === 'handoff');
  assert.equal(boundary?.body.kind === 'handoff' && boundary.body.reason, 'lag');
});
