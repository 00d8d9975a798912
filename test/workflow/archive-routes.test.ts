/**
 * Promises: a store that nobody waits for never delays the others and catches up by itself; where a
 * required store fails another one counts for it within seconds, and both hold the same when it is back.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { defaultPayloadConverter } from '@temporalio/common';
import type { SealInput, SealSummary } from '../../activities/archive-transfers.ts';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogState } from '../../src/catalog/fold.ts';
import { viewOf } from '../../src/catalog/view.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { archivedGtids } from '../../src/domain/routing/catalog-view.ts';
import { compareCatalogs } from '../../src/domain/routing/compare.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { readAudit } from '../../src/telemetry/audit.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';
import { type FarStore, soon, startFarStore } from './far-store.ts';

let world: ArchiveWorld;
let farStore: FarStore;
let cable: TcpProxy;
let bucket: ObjectStore;
let worker: Awaited<ReturnType<ArchiveWorld['startWorker']>>;
/** From the moment at which the store was given up to the first log that counted without it. */
let reroutedSeconds = Number.NaN;

before(async () => {
  farStore = await startFarStore();
  ({ cable, bucket } = farStore);
  // S3 is the store that counts; the folder gets everything, too, and nobody waits for it.
  world = await startArchiveWorld({ stores: [farStore.entry], main: { policy: 'catch-up' } });
  worker = await world.startWorker({}, ['--listen', '0']);
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});

after(async () => {
  await world.stop();
  await farStore.stop();
});

const inBucket = (): Promise<CatalogState> => openCatalog(bucket).read();

async function namesIn(state: Promise<CatalogState>): Promise<string[]> {
  return (await state).allSegments().map(({ segment }) => segment.binlog);
}

async function closeLog(): Promise<void> {
  await world.mysql.run("INSERT INTO d.t (v) VALUES (REPEAT('x', 200000))", 'FLUSH BINARY LOGS');
}

/** All that the server has closed, as it has executed it. */
async function archivedAll(state: Promise<CatalogState>): Promise<boolean> {
  return String(await namesIn(state)) === String(await world.closed());
}

async function assertEqualStores(): Promise<void> {
  const [main, far] = [await world.catalog(), await inBucket()];
  const { verdict, differences } = compareCatalogs(viewOf('main', main), viewOf('far', far));
  assert.equal(verdict, 'equal', JSON.stringify(differences));
  const digests = (state: CatalogState) =>
    state.allSegments().map(({ object }) => [object.key, object.sha256]);
  assert.deepEqual(digests(main), digests(far), 'the same bytes in both');
}

/** How often each log was sealed, and how often it was found sealed already, by all runs of the workflow so far. */
async function sealings(): Promise<Map<string, { now: number; before: number }>> {
  const counts = new Map<string, { now: number; before: number }>();
  let runId: string | undefined;
  do {
    const { events } = await world.client.workflow.getHandle(world.workflowId, runId).fetchHistory();
    const inputs = new Map<string, SealInput>();
    for (const event of events ?? []) {
      const scheduled = event.activityTaskScheduledEventAttributes;
      if (scheduled?.activityType?.name === 'sealSegment') {
        inputs.set(String(event.eventId), decoded<SealInput>(scheduled.input?.payloads));
      }
      const completed = event.activityTaskCompletedEventAttributes;
      const input = inputs.get(String(completed?.scheduledEventId));
      if (input === undefined) continue;
      const { made } = decoded<SealSummary>(completed?.result?.payloads);
      const count = counts.get(input.planned.log.binlog) ?? { now: 0, before: 0 };
      counts.set(input.planned.log.binlog, { ...count, [made]: count[made] + 1 });
    }
    runId = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || undefined;
  } while (runId !== undefined);
  return counts;
}

function decoded<T>(
  payloads: readonly Parameters<typeof defaultPayloadConverter.fromPayload>[0][] | null = [],
): T {
  const [payload] = payloads ?? [];
  assert.ok(payload);
  return defaultPayloadConverter.fromPayload<T>(payload);
}

async function standing(store: string) {
  const { stores } = await world.status();
  return stores.find((record) => record.store === store) ?? assert.fail(store);
}

test('each log is sealed once, and the same bytes lie in both stores', async () => {
  for (let i = 0; i < 4; i += 1) await closeLog();
  await soon(
    'both have all',
    async () => (await archivedAll(inBucket())) && (await archivedAll(world.catalog())),
  );
  await assertEqualStores();
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
  const closed = await world.closed();
  const sealed = await sealings();
  assert.deepEqual([...sealed.keys()].toSorted(), closed);
  for (const [log, { now }] of sealed) assert.equal(now, 1, `${log} was sealed ${now} times for two stores`);
  assert.equal((await world.status()).segmentsArchived, closed.length);
});

test('a required store that is cut off is stood in for within 10 s, and nothing acknowledged is lost', async (t) => {
  const acknowledged = archivedGtids(viewOf('far', await inBucket()));
  cable.setWeather({ kind: 'hold' });
  cable.reset();
  const began = performance.now();
  await closeLog();
  await soon('the folder counts', async () => (await world.status()).standIns.length === 1);
  const { openedAtMs } = (await standing('far')).circuit as { openedAtMs: number };
  const segments = (await world.status()).segmentsArchived;
  await closeLog();
  await soon(
    'a log counts without the bucket',
    async () => (await world.status()).segmentsArchived > segments,
  );
  const seconds = (performance.now() - began) / 1000;
  const detected = (openedAtMs - (Date.now() - (performance.now() - began))) / 1000;
  t.diagnostic(`detected after ${detected.toFixed(1)} s, rerouted after ${seconds.toFixed(1)} s`);
  reroutedSeconds = seconds - detected;
  assert.ok(reroutedSeconds <= 10, `${reroutedSeconds} s from detection to a log that counts`);
  assert.deepEqual((await world.status()).standIns, [{ from: 'far', to: 'main' }]);
  const covered = archivedGtids(viewOf('main', await world.catalog()));
  assert.ok(acknowledged.isSubsetOf(covered));
  const [handoff] = (await world.catalog()).handoffs();
  assert.deepEqual(handoff?.route, { kind: 'store', from: 'far', to: 'main' });
  assert.equal(handoff?.reason, 'circuit-open');
});

/** Handoffs in the audit log, as `from to to`. */
async function audited(): Promise<string[]> {
  const lines = await readAudit(join(world.dir, 'scratch', 'audit.jsonl'));
  return lines.flatMap(({ event }) =>
    event.action === 'handoff' ? [`${event.subject} ${event.from} to ${event.to}: ${event.outcome}`] : [],
  );
}

test('the switch is counted, timed and audited', async () => {
  const base = /http:\/\/127\.0\.0\.1:[0-9]+/.exec(await world.workerLog())?.[0] ?? '';
  const metrics = await (await fetch(`${base}/metrics`)).text();
  const labels = '{cluster="shop",subject="store",outcome="switched"}';
  assert.ok(metrics.includes(`\nbinlog_fallback_routing_attempts_total${labels} 1\n`), metrics);
  const [, seconds] = metrics.split(`\nbinlog_fallback_routing_duration_seconds_sum${labels} `);
  const told = Number.parseFloat(seconds ?? '');
  assert.ok(told > 0 && told <= reroutedSeconds, `${told} s to the switch, ${reroutedSeconds} s to a log`);
  assert.deepEqual(await audited(), ['store far to main: switched']);
});

test('a dry run knows what counts meanwhile, by the catalogs alone, and that the store which is away gets it later', async () => {
  assert.equal((await world.pitrail('archive', '--pause')).code, 0);
  await soon('it rests', async () => (await world.status()).phase === 'paused');
  await closeLog();
  const dry = await world.pitrail('archive', '--dry-run', '--json');
  assert.equal(dry.code, 75, dry.stderr);
  const [said] = JSON.parse(dry.stdout).sources;
  const closed = (await world.closed()).at(-1);
  assert.deepEqual(
    said.archive.map((it: { binlog: string; stores: string[] }) => [it.binlog, it.stores]),
    [[closed, ['main']]],
  );
  assert.equal(said.backlog.logs, 1, 'only a log that the stand-in lacks waits');
  assert.deepEqual(said.standIns, [{ from: 'far', to: 'main' }]);
  assert.deepEqual(
    said.away.map(({ store }: { store: string }) => store),
    ['far'],
  );
  const people = await world.pitrail('archive', '--dry-run');
  assert.match(people.stdout, /^shop\/shop-1: 1 closed binlog to archive now/);
  assert.match(people.stdout, /\n {2}main counts in the place of far\n {2}far gets it later: /);
  assert.equal((await world.pitrail('archive', '--resume')).code, 0);
  await soon('it is archived', async () => (await namesIn(world.catalog())).includes(String(closed)));
});

test('the circuit and the stand-in outlive the worker, and archiving goes on', async () => {
  worker.kill('SIGKILL');
  await worker.exited;
  await closeLog();
  worker = await world.startWorker();
  const { segmentsArchived } = await world.status();
  await soon('the log counts', async () => (await world.status()).segmentsArchived > segmentsArchived);
  assert.notEqual((await standing('far')).circuit.kind, 'closed');
  assert.equal((await world.status()).standIns.length, 1);
  assert.equal((await inBucket()).handoffs().length, 0, 'the bucket is cut off all the time');
});

test('when it is back it is filled, proven equal, and counts again', async () => {
  const missing = (await world.closed()).length - (await namesIn(inBucket())).length;
  assert.ok(missing >= 3);
  cable.setWeather({ kind: 'clear' });
  await soon('it counts again', async () => (await world.status()).standIns.length === 0);
  await assertEqualStores();
  const routes = (await inBucket()).handoffs().map(({ route, reason }) => [route.kind, reason]);
  assert.deepEqual(routes, [
    ['store', 'circuit-open'],
    ['store', 'switch-back'],
  ]);
  assert.deepEqual(await audited(), ['store far to main: switched', 'store main to far: switched']);
  await closeLog();
  await soon(
    'archiving goes on',
    async () => (await archivedAll(inBucket())) && (await archivedAll(world.catalog())),
  );
  await assertEqualStores();
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
  const executed = GtidSet.parse(await world.mysql.gtidExecuted());
  assert.ok(executed.equals(archivedGtids(viewOf('far', await inBucket()))));
});

test('no log was sealed anew for the store that came back, nor for the worker that was started again', async () => {
  const sealed = await sealings();
  assert.deepEqual([...sealed.keys()].toSorted(), await world.closed());
  // A worker that was killed behind a seal has told nobody of it: the next one finds it made.
  for (const [log, { now, before: found }] of sealed)
    assert.ok(now === 1 || (now === 0 && found > 0), `${log}: sealed ${now} times, found ${found} times`);
});
