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

/** Runs a command while the far store takes connections and says nothing; a look at it is bounded by seconds. */
async function inSilence(...args: readonly string[]) {
  const began = performance.now();
  const run = await world.pitrail(...args);
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds < 90, `${args.join(' ')} took ${seconds} s`);
  return run;
}

async function storeProblems(): Promise<string[]> {
  const { stdout } = await world.pitrail('status', '--json');
  const { problems } = JSON.parse(stdout).clusters[0] as { problems: { code: string; subject: string }[] };
  return problems.filter(({ code }) => /Store|Stand/.test(code)).map(({ code }) => code);
}

test('while a required store is silent the archive is handed over without it, nobody says that all is done, and it heals', async () => {
  await world.replica.catchUp();
  far.cable.setWeather({ kind: 'hold' });
  const head = (await world.catalog()).head;
  const dry = await inSilence('handoff', '--to', 'shop-2', '--dry-run', '--json');
  assert.equal(dry.code, 75, dry.stdout);
  const planned = JSON.parse(dry.stdout);
  assert.deepEqual(
    [planned.outcome, planned.stores.written, planned.stores.later],
    ['planned', ['main'], ['far']],
  );
  assert.match(
    planned.detail,
    /Nothing counts as archived before far \((NoAnswer|StoreStalled)\) can take it/,
  );
  assert.deepEqual((await world.catalog()).head, head);
  for (const outcome of ['handed-over', 'already-done']) {
    const made = await inSilence('handoff', '--to', 'shop-2', '--json');
    const document = JSON.parse(made.stdout);
    assert.deepEqual(
      [made.code, document.outcome, document.stores.later],
      [75, outcome, ['far']],
      made.stdout,
    );
    assert.match(document.detail, /in main yet\. Nothing counts as archived before far/);
  }
  const status = await inSilence('status');
  assert.notEqual(status.code, 0, status.stdout);
  assert.match(status.stdout, /far: s3:\/\/archive at 127[\s\S]* has answered nothing/);
  await soon('both know that it is given up', async () =>
    (await Promise.all(['shop-1', 'shop-2'].map(world.statusOf))).every(({ stores }) =>
      stores.some(({ store, circuit }) => store === 'far' && circuit.kind !== 'closed'),
    ),
  );
  await goOnAsNewRun('shop-1');
  far.cable.setWeather({ kind: 'clear' });
  far.cable.reset();
  await soon('it has the handoff, by itself', async () => (await openCatalog(far.bucket).read()).epoch === 2);
  await soon('status has nothing against it', async () => (await storeProblems()).length === 0);
  const back = await world.handoff('--to', 'shop-1');
  assert.deepEqual([back.code, back.document.stores.later], [0, []], back.stdout + back.stderr);
  await until('the primary is watched', async () => (await world.watching()).source === 'shop-1');
});

/** What `status` tells beside that which a run hands over to the next one. */
const OF_ONE_RUN = new Set(['cluster', 'source', 'phase', 'backlog', 'retention', 'noStandIns', 'lanes']);

/** What the workflow does after a while: its next run knows what this one hands over, and has nothing under way. */
async function goOnAsNewRun(source: string): Promise<void> {
  const status = Object.entries(await world.statusOf(source));
  const carry = Object.fromEntries(status.filter(([name]) => !OF_ONE_RUN.has(name)));
  const workflowId = `archive/shop/${source}`;
  await world.client.workflow.getHandle(workflowId).terminate('the next run follows');
  await world.client.workflow.start('archiveSource', {
    workflowId,
    taskQueue: 'control.local',
    args: [{ cluster: 'shop', source }, carry],
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
    [['shop-2', 'handed-over', 4]],
  );
  assert.equal(known.lagHandoffsMs.length, 1);
  const boundary = (await world.rawEntries()).findLast(({ body }) => body.kind === 'handoff');
  assert.equal(boundary?.body.kind === 'handoff' && boundary.body.reason, 'lag');
});
