import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { type Exposition, startExposition } from '../../../src/telemetry/exposition.ts';
import { METRICS, type MetricSpec } from '../../../src/telemetry/metric-table.ts';
import {
  binlogArchived,
  binlogsDiscovered,
  binlogsUploaded,
  declareSync,
  gtidGapDetected,
  handoffEnded,
  phaseDone,
  retentionSeen,
  storeAnswered,
  storeSeen,
  syncFailed,
} from '../../../src/telemetry/sync-events.ts';

const PLACE = { cluster: 'shop', source: 'shop-1', store: 's3', provider: 's3' };
const FAILURE = { ...PLACE, phase: 'transport', errorCode: 'StoreUnreachable', retryCount: 2 } as const;

let exposition: Exposition | null = null;

beforeEach(async () => {
  await exposition?.stop();
  exposition = startExposition();
});
after(() => exposition?.stop());

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Scrape {
  readonly samples: readonly Sample[];
  /** `# TYPE`, by name. */
  readonly types: ReadonlyMap<string, string>;
  readonly help: ReadonlyMap<string, string>;
}

/** Reads the text format 0.0.4 as Prometheus does. Source: Prometheus, "Exposition formats". */
async function scrape(): Promise<Scrape> {
  const text = (await exposition?.render()) ?? '';
  assert.ok(text.endsWith('\n'));
  const types = new Map<string, string>();
  const help = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split('\n').filter((it) => it !== '')) {
    const [, kind, about = '', words = ''] = /^# (TYPE|HELP) (\S+) (.*)$/.exec(line) ?? [];
    if (kind !== undefined) {
      const notes = kind === 'TYPE' ? types : help;
      assert.ok(!notes.has(about), `${about} is described twice`);
      notes.set(about, words);
      continue;
    }
    const [, name = '', inside = '', value = ''] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    assert.notEqual(name, '', line);
    const pairs = [...inside.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)];
    samples.push({
      name,
      labels: Object.fromEntries(pairs.map(([, key, text]) => [key, text])),
      value: Number(value),
    });
  }
  return { samples, types, help };
}

async function valueShown(
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const { samples } = await scrape();
  const found = samples.filter(
    (it) => it.name === name && Object.entries(labels).every(([key, value]) => it.labels[key] === value),
  );
  assert.ok(found.length <= 1, `${name} has ${found.length} series`);
  return found[0]?.value;
}

function everythingHappens(): void {
  declareSync('shop', 'shop-1', [PLACE]);
  binlogsDiscovered(PLACE, { fresh: 3, queued: 2 });
  binlogsUploaded(PLACE, 1);
  storeSeen(PLACE, { backlog: 6, circuit: 'open' });
  retentionSeen(PLACE, 90);
  phaseDone(PLACE, 'validation', 3_000);
  binlogArchived(PLACE, { lastCommitMs: 1_000_000, nowMs: 1_004_000 });
  storeAnswered(PLACE, 'create', 12.5);
  syncFailed({ ...FAILURE, binlogIndex: 42 }, 7_000);
  gtidGapDetected('shop', 'handoff');
  handoffEnded({ cluster: 'shop', subject: 'store', outcome: 'switched', seconds: 3 });
}

test('every metric has exactly its name, its help and its type, before anything was measured and after', async () => {
  for (const happens of [() => undefined, everythingHappens]) {
    happens();
    const { types, help, samples } = await scrape();
    assert.deepEqual([...types.keys()].sort(), Object.keys(METRICS).sort());
    for (const [name, spec] of Object.entries<MetricSpec>(METRICS)) {
      assert.equal(types.get(name), spec.kind.replace('observed-', ''), name);
      assert.equal(help.get(name), spec.help, name);
    }
    const known = new Set(Object.keys(METRICS));
    for (const { name } of samples) assert.ok(known.has(name.replace(/_(bucket|sum|count)$/, '')), name);
  }
});

test('the names are those that were agreed', () => {
  const agreed = [
    'binlog_fallback_routing_attempts_total',
    'binlog_fallback_routing_duration_seconds',
    'binlog_fallback_gtid_gap_detected_total',
    'binlog_fallback_storage_latency_ms',
    'binlog_sync_discovered_total',
    'binlog_sync_uploaded_total',
    'binlog_sync_failed_total',
    'binlog_sync_latency_seconds',
    'binlog_queue_depth',
    'binlog_sync_last_success_timestamp_seconds',
  ];
  for (const name of agreed) assert.ok(name in METRICS, name);
});

test('what happened is what is shown', async () => {
  everythingHappens();
  const { cluster, source, store, provider } = PLACE;
  const at = { cluster, source, store };
  const expected: readonly (readonly [string, Readonly<Record<string, string>>, number])[] = [
    ['binlog_sync_discovered_total', { cluster, source }, 3],
    ['binlog_queue_depth', { cluster, source }, 2],
    ['binlog_sync_uploaded_total', { ...at, provider }, 1],
    ['binlog_sync_last_success_timestamp_seconds', at, 1004],
    ['binlog_sync_latency_seconds_sum', at, 4],
    ['binlog_sync_latency_seconds_bucket', { ...at, le: '2.5' }, 0],
    ['binlog_sync_latency_seconds_bucket', { ...at, le: '5' }, 1],
    ['binlog_store_backlog', { ...at, provider }, 6],
    ['binlog_store_circuit_open', { ...at, provider }, 1],
    ['binlog_retention_minutes_left', { cluster, source }, 90],
    ['binlog_sync_phase_duration_seconds_sum', { cluster, source, phase: 'validation' }, 3],
    ['binlog_fallback_storage_latency_ms', { cluster, store, provider, operation: 'create' }, 12.5],
    ['binlog_sync_failed_total', { ...at, provider, error_code: 'StoreUnreachable', retry_count: '2' }, 1],
    ['binlog_fallback_gtid_gap_detected_total', { cluster, found_by: 'handoff' }, 1],
    ['binlog_fallback_gtid_gap_detected_total', { cluster, found_by: 'archive' }, 0],
    ['binlog_fallback_routing_attempts_total', { cluster, subject: 'store', outcome: 'switched' }, 1],
    ['binlog_fallback_routing_duration_seconds_count', { cluster, outcome: 'switched' }, 1],
  ];
  for (const [name, labels, value] of expected) assert.equal(await valueShown(name, labels), value, name);
});

test('the labels are those of the table, and ten thousand failing binlogs make no more series than one', async () => {
  everythingHappens();
  for (let index = 0; index < 10_000; index += 1) {
    syncFailed({ ...FAILURE, retryCount: index % 50, binlogIndex: index }, index * 1000);
  }
  const { samples } = await scrape();
  for (const { name, labels } of samples) {
    const spec = METRICS[name.replace(/_(bucket|sum|count)$/, '') as keyof typeof METRICS];
    const allowed = new Set<string>([...spec.labels, 'le']);
    for (const label of Object.keys(labels)) assert.ok(allowed.has(label), `${name} has the label ${label}`);
  }
  const failed = samples.filter(({ name }) => name === 'binlog_sync_failed_total');
  assert.equal(failed.length, 12, 'retries 0 to 10, and more');
  const last = samples.filter(({ name }) => name === 'binlog_sync_last_failure_timestamp_seconds');
  assert.deepEqual(
    last.map(({ labels, value }) => [labels['binlog_index'], labels['provider'], value]),
    [['9999', 's3', 9999]],
  );
});

test('two expositions in one process are refused, not mixed', () => {
  assert.throws(() => startExposition(), { code: 'MetricsTaken', kind: 'config' });
});

test('docs/operations.md lists every metric with its type and labels', async () => {
  const page = await readFile(join(import.meta.dirname, '../../../docs/operations.md'), 'utf8');
  for (const [name, { kind, labels }] of Object.entries<MetricSpec>(METRICS)) {
    const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\``)) ?? '';
    assert.match(row, new RegExp(`\\| ${kind.replace('observed-', '')} `), `${name} is not in the table`);
    for (const label of labels)
      assert.ok(row.includes(`\`${label}\``), `${name}: ${label} is not in the table`);
  }
});
