import assert from 'node:assert/strict';
import { chmod, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readAudit } from '../../src/telemetry/audit.ts';
import { assertNoCanary, assertNoCanaryInArguments, assertNoCanaryInFolder } from '../support/canary.ts';
import { startGcs, type TestGcs } from '../support/gcs.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { type ArchiveWorld, startArchiveWorld, until } from './archive-world.ts';

interface Health {
  readonly status: string;
  readonly reasons: readonly string[];
  readonly checks: readonly { readonly name: string; readonly status: string; readonly reason: string }[];
}

let world: ArchiveWorld;
let s3: TestS3;
let gcs: TestGcs;
let base: string;
/** All that the endpoint ever said. */
const said: string[] = [];

before(async () => {
  [s3, gcs] = await Promise.all([startS3('archive'), startGcs('archive')]);
  process.env['TEST_S3_ACCESS'] = s3.credentials.accessKeyId;
  process.env['TEST_S3_SECRET'] = s3.credentials.secretAccessKey;
  const { bucket, region, endpoint } = s3;
  const credentials = {
    accessKeyId: { env: 'TEST_S3_ACCESS' },
    secretAccessKey: { env: 'TEST_S3_SECRET' },
  };
  const store = {
    id: 's3',
    s3: { bucket, region, endpoint, pathStyle: true, prefix: 'prod', ...credentials },
  };
  const google = {
    id: 'gcs',
    gcs: { bucket: gcs.bucket, endpoint: gcs.endpoint, prefix: 'prod', credentials: 'anonymous' },
  };
  world = await startArchiveWorld({ stores: [store, google] });
  await world.startWorker({}, ['--listen', '0']);
  base = /http:\/\/127\.0\.0\.1:[0-9]+/.exec(await world.workerLog())?.[0] ?? '';
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(async () => {
  await world.stop();
  await Promise.all([s3.stop(), gcs.stop()]);
});

async function page(path: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(base + path);
  const text = await response.text();
  said.push(text);
  return { status: response.status, text };
}

async function health(): Promise<Health & { readonly code: number }> {
  const { status, text } = await page('/health/ready');
  return { code: status, ...(JSON.parse(text) as Health) };
}

/** The sum of all series of a metric whose labels are these. */
async function metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const { text } = await page('/metrics');
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  const fitting = lines.filter((line) =>
    Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)),
  );
  return fitting.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Lines of the worker's log that are events, decoded. */
async function events(name: string): Promise<Readonly<Record<string, unknown>>[]> {
  const lines = (await world.workerLog()).split('\n').filter((line) => line.startsWith('{'));
  return lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ event }) => event === name);
}

async function rotated(value: string): Promise<void> {
  await world.mysql.run(`INSERT INTO d.t (v) VALUES ('${value}')`, 'FLUSH BINARY LOGS');
}

test('a worker that has all it needs is live and ready, and says of each part why', async () => {
  await until('it is ready', async () => (await health()).code === 200);
  const { status, reasons, checks } = await health();
  assert.deepEqual([status, reasons], ['ready', []]);
  const names = checks.map(({ name }) => name);
  for (const name of [
    'temporal',
    'queue control.local',
    'queue store.local',
    'queue host.local',
    'key shop',
  ]) {
    assert.ok(names.includes(name), name);
  }
  const live = await page('/health/live');
  assert.equal(live.status, 200);
  assert.equal((JSON.parse(live.text) as { status: string }).status, 'live');
});

test('the metrics count exactly what was archived, in each store', async () => {
  for (let i = 0; i < 3; i += 1) await rotated(`m${i}`);
  assert.equal((await world.pitrail('archive', '--once')).code, 0);
  const closed = (await world.closed()).length;
  const source = { cluster: 'shop', source: 'shop-1' };
  assert.equal(await metric('binlog_sync_discovered_total', source), closed);
  for (const [store, provider] of [
    ['main', 'directory'],
    ['s3', 's3'],
    ['gcs', 'gcs'],
  ] as const) {
    const at = { ...source, store };
    assert.equal(await metric('binlog_sync_uploaded_total', { ...at, provider }), closed, store);
    const success = await metric('binlog_sync_last_success_timestamp_seconds', at);
    assert.ok(Math.abs(success - Date.now() / 1000) < 60, `${success}`);
    assert.ok((await metric('binlog_sync_latency_seconds_count', at)) >= 3, store);
    for (const operation of ['create', 'read', 'head']) {
      const labels = { cluster: 'shop', store, provider, operation };
      assert.ok((await metric('binlog_fallback_storage_latency_ms', labels)) > 0, `${store} ${operation}`);
    }
  }
  await until('the queue is empty', async () => (await metric('binlog_queue_depth', source)) === 0);
  assert.equal(await metric('binlog_sync_failed_total'), 0);
});

for (const [store, server] of [
  ['s3', () => s3],
  ['gcs', () => gcs],
] as const) {
  test(`a store in ${store} that is down shows in metrics, log and health, with the run that met it`, async () => {
    const code = { provider: store, store, error_code: 'StoreUnreachable' };
    await server().kill();
    await rotated('down');
    const counted = async () => metric('binlog_sync_failed_total', code);
    await until('a failure is counted', async () => (await counted()) > 1, 200_000);
    const unready = await health();
    assert.equal(unready.code, 503);
    assert.match(unready.reasons.join(), new RegExp(`^store shop/${store}: failing since .*last answer`));
    assert.ok((await metric('binlog_sync_last_failure_timestamp_seconds', code)) > 0);
    const failed = await events('step-failed');
    const last = failed.findLast((it) => it['store'] === store && it['error_code'] === 'StoreUnreachable');
    const { runId } = await world.entity().describe();
    assert.deepEqual(
      [last?.['provider'], last?.['cluster'], last?.['source'], last?.['run_id'], last?.['trace_id']],
      [store, 'shop', 'shop-1', runId, runId.replaceAll('-', '')],
    );
    const retries = async () =>
      (await events('step-failed'))
        .filter((it) => it['store'] === store && it['step'] === 'reachStore')
        .map((it) => Number(it['retry_count']));
    // Each try is an activity of its own; the count goes on from the transfers to the probes of the open circuit.
    await until('it was tried often', async () => (await retries()).some((count) => count >= 5), 200_000);
    const probes = (await retries()).filter((count) => count >= 3);
    assert.deepEqual(
      probes,
      probes.map((_, n) => n + 3),
    );
    assert.ok((await metric('binlog_sync_failed_total', { ...code, retry_count: '4' })) > 0);
    assert.ok(last !== undefined && 'binlog_index' in last);
    await server().start();
    await until('it is archived', async () => (await world.pitrail('archive', '--once')).code === 0);
    await until('it is ready again', async () => (await health()).code === 200);
  });
}

test('every request of a run carries its trace into the access log of the store', async () => {
  await rotated('traced');
  assert.equal((await world.pitrail('archive', '--once')).code, 0);
  const { runId } = await world.entity().describe();
  const lines = (await readFile(s3.accessLog, 'utf8')).split('\n');
  const traced = lines.filter((line) => line.includes(`trace/${runId.replaceAll('-', '')}`));
  assert.ok(
    traced.some((line) => line.includes('s3_PutObject prod/mysql/')),
    lines.slice(-5).join('\n'),
  );
});

test('a MySQL session of a run carries its trace, beside the statements of the server', async () => {
  const { runId } = await world.entity().describe();
  const query = `SELECT ATTR_VALUE AS trace FROM performance_schema.session_connect_attrs WHERE ATTR_NAME = 'trace_id'`;
  const seen = new Set<string>();
  await until('a session of the run is seen', async () => {
    for (const { trace } of await world.mysql.query<{ trace: string }>(query)) seen.add(trace);
    return seen.has(runId.replaceAll('-', ''));
  });
});

test('a refused binlog is on record: counted, logged with its number, audited with its trace', async () => {
  assert.equal((await world.pitrail('archive', '--pause')).code, 0);
  await until('it is paused', async () => (await world.status()).phase === 'paused');
  await rotated('damaged');
  const name = (await world.closed()).at(-1) ?? '';
  const file = await open(join(world.mysql.binlogDir, name), 'r+');
  await file.write(Buffer.from([0xff]), 0, 1, 300);
  await file.close();
  assert.equal((await world.pitrail('archive', '--resume')).code, 0);
  await until('it is a dead letter', async () => (await world.status()).deadLetters.length > 0);
  const { runId } = await world.entity().describe();
  const index = Number(name.slice(name.lastIndexOf('.') + 1));
  const [event] = (await events('step-failed')).filter(({ binlog }) => binlog === name);
  assert.deepEqual([event?.['binlog_index'], event?.['retry_count'], event?.['level']], [index, 0, 'error']);
  assert.equal(event?.['error_code'], 'BinlogCorrupt');
  assert.equal(
    await metric('binlog_sync_failed_total', { error_code: 'BinlogCorrupt', phase: 'validation' }),
    1,
  );
  assert.ok(
    (await metric('binlog_sync_last_failure_timestamp_seconds', { binlog_index: String(index) })) > 0,
  );
  const auditFile = join(world.dir, 'scratch', 'audit.jsonl');
  const refusals = async () => (await readAudit(auditFile)).filter((line) => line.event.action === 'refusal');
  // The list comes first, the record in the stores and here after it.
  await until('it is written down', async () => (await refusals()).length > 0);
  const [line, ...more] = await refusals();
  assert.deepEqual(more, []);
  assert.deepEqual(
    [line?.trace, line?.event.action === 'refusal' && line.event.binlog],
    [runId.replaceAll('-', ''), name],
  );
});

test('an operator who gives it up is on record, and the chain of the log is verified', async () => {
  const [letter] = (await world.status()).deadLetters;
  const binlog = letter?.binlog ?? '';
  const accept = await world.pitrail('archive', '--accept-gap', binlog, '--reason', 'damaged on purpose');
  assert.equal(accept.code, 0, accept.stderr);
  await rotated('after');
  const auditFile = join(world.dir, 'scratch', 'audit.jsonl');
  const gaps = async () =>
    (await readAudit(auditFile)).flatMap(({ event }) => (event.action === 'gap-accepted' ? [event] : []));
  await until('it is written down', async () => (await gaps()).length > 0);
  const [gap] = await gaps();
  assert.deepEqual([gap?.binlog, gap?.reason], [binlog, 'damaged on purpose']);
  assert.match(gap?.lostGtids ?? '', new RegExp(world.mysql.serverUuid));

  const verified = await world.pitrail('audit', 'verify', '--json');
  assert.equal(verified.code, 0, verified.stderr);
  const { files } = JSON.parse(verified.stdout) as { files: readonly { head: string; lines: number }[] };
  const head = files[0]?.head ?? '';
  const whole = await readFile(auditFile, 'utf8');
  const verify = async (text: string, ...args: readonly string[]) => {
    await writeFile(auditFile, text);
    const run = await world.pitrail('audit', 'verify', '--json', ...args);
    await writeFile(auditFile, whole);
    const [found] = (
      JSON.parse(run.stdout) as { files: readonly { error?: { code: string; facts: { line: number } } }[] }
    ).files;
    return [run.code, found?.error?.code, found?.error?.facts.line];
  };
  const rows = whole.split(/(?<=\n)/);
  assert.deepEqual(await verify(rows.slice(1).join('')), [4, 'AuditBroken', 1]);
  assert.deepEqual(await verify(whole.replace(binlog, 'binlog.999999')), [4, 'AuditBroken', 2]);
  assert.deepEqual(await verify(whole.slice(0, -5)), [4, 'AuditTorn', rows.length]);
  const [cut = ''] = rows;
  assert.deepEqual(await verify(cut), [0, undefined, undefined], 'a chain cannot show what was cut off');
  assert.deepEqual((await verify(cut, '--expect', head)).slice(0, 2), [4, 'AuditRolledBack']);
  assert.equal((await verify(whole, '--expect', head))[0], 0);
});

test('a key that others may read, and a Temporal that is gone, make it not ready, by name', async () => {
  const key = join(world.dir, 'key');
  await chmod(key, 0o644);
  await until('the key is missed', async () => /^key shop: .*0644/.test((await health()).reasons.join()));
  await chmod(key, 0o600);
  await until('it is ready again', async () => (await health()).code === 200);
  await world.temporal.kill();
  await until('Temporal is missed', async () =>
    /temporal: it does not answer/.test((await health()).reasons.join()),
  );
  assert.equal((await page('/health/live')).status, 200, 'it lives all the same');
  await world.temporal.start();
  await until('it is ready again', async () => (await health()).code === 200);
});

test('no secret came out: not in metrics, health, logs, audit, staging or arguments', async () => {
  assertNoCanary('the endpoint', said.join('\n'));
  assertNoCanary('the log', await world.workerLog());
  await assertNoCanaryInFolder(join(world.dir, 'scratch'));
  await assertNoCanaryInFolder(world.storeDir);
  await assertNoCanaryInArguments();
  assertNoCanary('the access log of the store', await readFile(s3.accessLog));
  assertNoCanary('the log of Temporal', await readFile(world.temporal.logFile));
});
