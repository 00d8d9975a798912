import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { parseConfig } from '../../../src/config/load.ts';
import { type Exposition, startExposition } from '../../../src/telemetry/exposition.ts';
import { METRICS } from '../../../src/telemetry/metric-table.ts';
import { syncFailed } from '../../../src/telemetry/sync-events.ts';
import { SyncWatch } from '../../../src/worker/sync-watch.ts';

const CONFIG = `clusters: { shop: {
  sources: [{ id: shop-1, socket: /s, user: u, password: { env: P }, binlogDir: /b },
    { id: shop-2, socket: /t, user: u, password: { env: P }, binlogDir: /c }],
  stores: [{ id: main, directory: main }, { id: s3, s3: { bucket: shop-pitr, region: eu-west-1 } }],
  encryption: none } }`;

const ALL_ARCHIVED = { level: 'none', reason: 'all-archived' };

let exposition: Exposition;
let watch: SyncWatch;

before(() => {
  exposition = startExposition();
  watch = new SyncWatch(parseConfig(CONFIG, '/x/pitrail.yaml'), () => 1_000);
});
after(() => exposition.stop());

test('labels are names of the configuration, whatever names a workflow was started with', () => {
  const place = { cluster: 'shop', source: 'shop-1', store: 's3', provider: 's3' };
  assert.deepEqual(watch.placeOf('shop', 'shop-1', 's3'), place);
  assert.deepEqual(watch.placeOf('shop', 'shop-1', ''), { ...place, store: '', provider: 'mysql' });
  const nowhere = { cluster: '', source: '', store: '', provider: 'mysql' };
  assert.deepEqual(watch.placeOf('made-up', 'shop-1', 's3'), nowhere);
  assert.deepEqual(watch.placeOf('shop', 'made-up', 'made-up'), { ...nowhere, cluster: 'shop' });
});

test('a gap counts once, though its refusal is written down again', async () => {
  const refusal = { serverUuid: 'u', binlog: 'b.000009', reason: 'ArchiveGap', detail: 'u:5-7 are missing' };
  const other = { ...refusal, detail: 'u:9 is missing' };
  const corrupt = { ...refusal, reason: 'BinlogCorrupt' };
  for (const it of [refusal, refusal, corrupt, other]) {
    watch.done('recordRefusal', { cluster: 'shop', source: 'shop-1', epoch: 1, refusal: it }, undefined, 1);
  }
  const text = await exposition.render();
  assert.match(text, /binlog_fallback_gtid_gap_detected_total\{cluster="shop",found_by="archive"\} 2\n/);
});

test('a binlog counts as discovered once, however often it is found, staged or not', async () => {
  const log = (number: number) => ({
    serverUuid: 'u',
    binlog: `b.00000${number}`,
    createdAt: '2026-11-20T10:00:00Z',
    firstCommit: null,
    lengthBytes: 10,
  });
  const found = (staged: readonly number[], planned: readonly number[]) => ({
    stage: staged.map(log),
    archive: planned.map((number) => ({ log: log(number), successor: null, stores: ['main'] })),
    backlog: { logs: planned.length, bytes: 0 },
    stores: [],
    retention: ALL_ARCHIVED,
  });
  const input = { cluster: 'shop', source: 'shop-1', stores: [] };
  for (const look of [found([1, 2, 3], [1]), found([], [1, 2]), found([], []), found([4], [2, 3, 4])]) {
    watch.done('discoverBinlogs', input, look, 1);
  }
  const text = await exposition.render();
  assert.match(text, /binlog_sync_discovered_total\{cluster="shop",source="shop-1"\} 4\n/);
  assert.match(text, /binlog_queue_depth\{cluster="shop",source="shop-1"\} 3\n/);
});

test('a store handoff that must wait is counted apart from one that was refused, and ends nothing', async () => {
  const input = { cluster: 'shop', source: 'shop-1', detectedAtMs: 0 };
  const waits = { kind: 'not-yet', why: 'main lacks 3 transactions that were called archived' };
  for (const result of [waits, waits, { kind: 'switched', epoch: 2, later: [] }]) {
    watch.done('switchStore', input, result, 1);
  }
  const text = await exposition.render();
  const samples = text
    .split('\n')
    .filter((line) => /^binlog_fallback_routing_(attempts|.*_count)/.test(line));
  const of = (outcome: string) => `{cluster="shop",subject="store",outcome="${outcome}"}`;
  assert.deepEqual(samples.toSorted(), [
    `binlog_fallback_routing_attempts_total${of('not_yet')} 2`,
    `binlog_fallback_routing_attempts_total${of('switched')} 1`,
    `binlog_fallback_routing_duration_seconds_count${of('switched')} 1`,
  ]);
});

test('a binlog that only a store lacks which another one stands in for is in the queue, too', async () => {
  const stores = [0, 3, 1].map((logs) => ({ backlog: { logs, bytes: 0 } }));
  const input = { cluster: 'shop', source: 'shop-1', stores: [] };
  const found = {
    stage: [],
    archive: [],
    backlog: { logs: 0, bytes: 0 },
    stores,
    retention: ALL_ARCHIVED,
  };
  watch.done('discoverBinlogs', input, found, 1);
  assert.match(await exposition.render(), /binlog_queue_depth\{cluster="shop",source="shop-1"\} 3\n/);
});

test('a look shows what each store lacks, whether it is given up, and when the server purges what is not archived', async () => {
  const look = (access: 'open' | 'held-back', logs: number, retention: object) => {
    const stores = [
      { store: 'main', policy: 'required', access: 'open' },
      { store: 's3', policy: 'required', access },
    ];
    const backlog = { logs, bytes: 10 * logs };
    const standings = [
      { store: 'main', backlog: { logs: 0, bytes: 0 } },
      { store: 's3', backlog },
    ];
    const found = { stage: [], archive: [], backlog, stores: standings, retention };
    watch.done('discoverBinlogs', { cluster: 'shop', source: 'shop-1', stores }, found, 1);
    return exposition.render();
  };
  const counting = { level: 'critical', reason: 'counting-down', binlog: 'b.000001', minutesLeft: 42 };
  const failing = await look('held-back', 7, counting);
  const at = (store: string, provider: string) =>
    `{cluster="shop",source="shop-1",store="${store}",provider="${provider}"}`;
  for (const line of [
    `binlog_store_backlog${at('main', 'directory')} 0`,
    `binlog_store_backlog${at('s3', 's3')} 7`,
    `binlog_store_circuit_open${at('main', 'directory')} 0`,
    `binlog_store_circuit_open${at('s3', 's3')} 1`,
    'binlog_retention_minutes_left{cluster="shop",source="shop-1"} 42',
  ]) {
    assert.ok(failing.includes(`\n${line}\n`), line);
  }
  const well = await look('open', 0, ALL_ARCHIVED);
  for (const line of [
    `binlog_store_backlog${at('s3', 's3')} 0`,
    `binlog_store_circuit_open${at('s3', 's3')} 0`,
    'binlog_retention_minutes_left{cluster="shop",source="shop-1"} +Inf',
  ]) {
    assert.ok(well.includes(`\n${line}\n`), line);
  }
});

test('what a store was filled with counts as archived there, and a fill that another store broke off does not', async () => {
  const at = 'cluster="shop",source="shop-1",store="s3"';
  const input = { cluster: 'shop', source: 'shop-1', from: 'main', to: 's3', earlierTries: 0 };
  watch.done('fillStore', input, { kind: 'holder-failed', failure: {} }, 1);
  assert.match(
    await exposition.render(),
    new RegExp(`binlog_sync_uploaded_total\\{${at},provider="s3"\\} 0\n`),
  );
  const lastCommits = ['1970-01-01T00:00:00.500000Z', null];
  watch.done('fillStore', input, { kind: 'filled', logs: 2, lastCommits }, 1);
  const text = await exposition.render();
  for (const line of [
    `binlog_sync_uploaded_total{${at},provider="s3"} 2`,
    `binlog_sync_last_success_timestamp_seconds{${at}} 1`,
    `binlog_sync_latency_seconds_count{${at}} 1`,
    `binlog_sync_latency_seconds_sum{${at}} 0.5`,
  ]) {
    assert.ok(text.includes(`\n${line}\n`), line);
  }
});

test('the gauges of a source that was handed away go, and come back when it archives again; its counters stay', async () => {
  const show = (source: string) => {
    const stores = [{ store: 'main', policy: 'required', access: 'open' }];
    const standings = [{ store: 'main', backlog: { logs: 2, bytes: 20 } }];
    const backlog = { logs: 2, bytes: 20 };
    const found = { stage: [], archive: [], backlog, stores: standings, retention: ALL_ARCHIVED };
    watch.done('discoverBinlogs', { cluster: 'shop', source, stores }, found, 1);
    const stored = { store: 'main', object: {} };
    watch.done('uploadSegment', { cluster: 'shop', source }, { store: 'main' }, 1);
    watch.done('commitSegment', { cluster: 'shop', source, stored }, { lastCommit: null }, 1);
    const failure = { phase: 'transport', errorCode: 'StoreUnreachable', retryCount: 0 } as const;
    syncFailed({ ...watch.placeOf('shop', source, 'main'), ...failure, binlogIndex: 1 }, 1_000);
  };
  const claim = (source: string, kind: object) =>
    watch.done('claimHold', { cluster: 'shop', source }, { claim: kind, standIns: [] }, 1);
  const seriesOf = async (source: string) =>
    (await exposition.render())
      .split('\n')
      .filter((line) => line.includes(`source="${source}"`))
      .map((line) => line.slice(0, line.indexOf('{')));
  const gauges = Object.entries(METRICS).flatMap(([name, { kind, labels }]) =>
    kind.endsWith('gauge') && (labels as readonly string[]).includes('source') ? [name] : [],
  );
  for (const source of ['shop-1', 'shop-2']) show(source);
  for (const gauge of gauges) assert.ok((await seriesOf('shop-1')).includes(gauge), gauge);
  claim('shop-1', { kind: 'held', epoch: 1 });
  claim('shop-1', { kind: 'handed-away', to: 'shop-2', epoch: 2 });
  const left = await seriesOf('shop-1');
  assert.deepEqual(
    left.filter((name) => gauges.includes(name)),
    [],
  );
  assert.ok(left.includes('binlog_sync_uploaded_total'), 'what was counted stays counted');
  for (const gauge of gauges) assert.ok((await seriesOf('shop-2')).includes(gauge), gauge);
  claim('shop-2', { kind: 'in-reserve' });
  assert.ok(!(await seriesOf('shop-2')).includes('binlog_queue_depth'));
  claim('shop-1', { kind: 'held', epoch: 3 });
  show('shop-1');
  for (const gauge of gauges) assert.ok((await seriesOf('shop-1')).includes(gauge), gauge);
});

test('every phase shows how long its steps took that succeeded', async () => {
  const input = { cluster: 'shop', source: 'shop-1' };
  watch.done('stageBinlogs', input, 3, 4_000);
  watch.done('sealSegment', input, {}, 2_000);
  watch.done('releaseBinlogs', input, undefined, 9_000);
  const text = await exposition.render();
  const of = (kind: string) =>
    `binlog_sync_phase_duration_seconds_${kind}{cluster="shop",source="shop-1",phase="validation"}`;
  assert.ok(text.includes(`\n${of('count')} 2\n`));
  assert.ok(text.includes(`\n${of('sum')} 6\n`));
  assert.ok(!text.includes('phase="other"'));
});
