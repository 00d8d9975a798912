import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CheckFinding } from '../../src/cli/checks/finding.ts';
import { loadConfig } from '../../src/config/load.ts';
import { pickCluster } from '../../src/config/pick.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { readAudit } from '../../src/telemetry/audit.ts';
import { startRestored } from '../integration/restore-rig.ts';
import { placeOrders, startWorkload, tableChecksums } from '../support/workload.ts';
import { until } from './archive-world.ts';
import { type HandoffWorld, startHandoffWorld } from './handoff-world.ts';

let world: HandoffWorld;

before(async () => {
  // No fallbacks are named: the second source of a cluster stands by all the same, and nobody watches the first.
  world = await startHandoffWorld({ fallback: null });
  await world.startWorker({}, ['--listen', '0']);
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  assert.match(
    applied.stdout,
    /^started archiving of shop\/shop-2, which stands by until a handoff names it$/m,
  );
  const backup = await world.pitrail('backup', '--source', 'shop-1');
  assert.equal(backup.code, 0, backup.stderr);
});
after(() => world.stop());

test('of two sources of a cluster one is archived: nothing of the other before the archive is handed to it', async () => {
  await until('it stands by', async () => (await world.statusOf('shop-2')).phase === 'standing-by');
  const { hold, lastFailure } = await world.statusOf('shop-2');
  assert.deepEqual(hold, { kind: 'in-reserve' });
  assert.equal(lastFailure?.code, 'InReserve');
  const once = await world.pitrail('archive', '--once', '--source', 'shop-2', '--json');
  assert.equal(once.code, 3, once.stdout);
  const servers = (await world.catalog()).allSegments().map(({ segment }) => segment.serverUuid);
  assert.deepEqual([...new Set(servers)], [world.mysql.serverUuid]);
  const check = await world.pitrail('check', '--json');
  assert.equal(check.code, 0, check.stdout);
  const { findings } = JSON.parse(check.stdout) as { readonly findings: readonly CheckFinding[] };
  assert.deepEqual(
    findings.filter(({ part }) => part === 'sources shop').map(({ status, message }) => [status, message]),
    [['ok', 'shop-1 is archived first; shop-2 stands by, archived once a handoff names it']],
  );
  const dry = await world.pitrail('archive', '--dry-run', '--source', 'shop-2');
  assert.equal(dry.code, 3, dry.stderr);
  assert.match(dry.stdout, /^shop\/shop-2: nothing to do: shop-2 is a fallback and nothing was handed to it/);
  const all = await world.pitrail('archive', '--dry-run', '--json');
  assert.equal(all.code, 0, all.stderr);
  const { sources } = JSON.parse(all.stdout);
  assert.deepEqual(
    sources.map(({ source, state }: { source: string; state: string }) => [source, state]),
    [
      ['shop-1', 'archives'],
      ['shop-2', 'stands-by'],
    ],
  );
});

test('a dry run says what would be done, and writes nothing', async () => {
  await placeOrders(world.mysql, 5, 1);
  await world.replica.catchUp();
  const head = (await world.catalog()).head;
  const { code, document, stderr } = await world.handoff('--to', 'shop-2', '--dry-run');
  assert.equal(code, 0, stderr);
  const { outcome, from, to, epoch, continuity, stores } = document;
  assert.deepEqual(
    { outcome, from, to, epoch, continuity, written: stores.written },
    {
      outcome: 'planned',
      from: 'shop-1',
      to: 'shop-2',
      epoch: 2,
      continuity: 'continues',
      written: ['main'],
    },
  );
  // The truth: what the replica has and no segment holds.
  const archived = (await world.catalog()).archivedThrough(1);
  const pending = GtidSet.parse(await world.replica.gtidExecuted()).subtract(archived);
  assert.ok(pending.equals(GtidSet.parse(document.reconciliation?.pendingGtids ?? '')));
  assert.equal((await world.catalog()).head.sequence, head.sequence);
  assert.deepEqual((await world.statusOf('shop-1')).hold, { kind: 'held', epoch: 1 });
});

test("plain JSON from Temporal's own command line starts one; what is wrong in it fails once, with an example", async () => {
  const start = (input: unknown, workflowId: string) =>
    world.client.workflow.execute('fallbackHandoff', {
      workflowId,
      taskQueue: 'control.local',
      args: [input],
    });
  const planned = await start({ cluster: 'shop', to: 'shop-2', mode: 'dry-run' }, 'handoff/by-hand');
  assert.equal(planned.outcome, 'planned');
  await assert.rejects(start({ cluster: 'shop', too: 'shop-2' }, 'handoff/wrong'), (error: Error) => {
    assert.match(String(error.cause), /"to" .*nothing was done|nothing was done: "to"/);
    assert.match(String(error.cause), /Example: \{"cluster":"shop","to":"shop-2"\}/);
    return true;
  });
});

test('under load the archive is handed to the replica without a gap, and the old source stands by', async () => {
  const load = await startWorkload(world.mysql, { connections: 2, pauseMs: 20 });
  await world.mysql.run('FLUSH BINARY LOGS');
  const { code, document, stderr } = await world.handoff('--to', 'shop-2');
  await load.stop();
  assert.equal(code, 0, `${stderr}\n${JSON.stringify(document)}`);
  assert.equal(document.outcome, 'handed-over');
  assert.equal(document.validation?.verdict, 'validated');
  await until('the old one stands by', async () => (await world.statusOf('shop-1')).phase === 'standing-by');
  assert.deepEqual((await world.statusOf('shop-1')).hold, { kind: 'handed-away', to: 'shop-2', epoch: 2 });
  const entries = await world.rawEntries();
  const boundary = entries.find(({ body }) => body.kind === 'handoff');
  assert.equal(boundary?.epoch, 2);
  const behind = entries.filter(({ sequence }) => sequence > (boundary?.sequence ?? 0));
  const servers = behind.flatMap(({ body }) =>
    body.kind === 'segment-archived' ? [body.segment.serverUuid as string] : [],
  );
  assert.deepEqual([...new Set(servers)], [world.replica.serverUuid]);
  const result = behind.find(({ body }) => body.kind === 'handoff-validated')?.body;
  assert.ok(result?.kind === 'handoff-validated');
  assert.deepEqual([result.handoffEpoch, result.verdict], [2, 'validated']);
});

/** The gauges of a source, as the worker shows them. */
async function gaugesOf(source: string): Promise<string[]> {
  const base = /http:\/\/127\.0\.0\.1:[0-9]+/.exec(await world.workerLog())?.[0] ?? '';
  const text = await (await fetch(`${base}/metrics`)).text();
  const gauges = [...text.matchAll(/^# TYPE (\S+) gauge$/gm)].map(([, name = '']) => name);
  const shown = text.split('\n').filter((line) => line.includes(`source="${source}"`));
  return gauges.filter((name) => shown.some((line) => line.startsWith(`${name}{`)));
}

test('of the source that stands by status tells that alone, and its gauges are gone', async () => {
  const { stdout } = await world.pitrail('status');
  const lines = stdout.split('\n').filter((line) => line.includes('source shop-1'));
  assert.deepEqual(lines.length, 1, stdout);
  assert.match(lines[0] ?? '', /^ {2}source shop-1 stands by: shop-1 was handed to shop-2 in epoch 2/);
  const { clusters } = JSON.parse((await world.pitrail('status', '--json')).stdout);
  const [first, heir] = clusters[0].sources;
  assert.deepEqual([first.routes, first.archived, first.retention], [[], [], null]);
  assert.deepEqual([heir.standsBy, heir.routes.length], [null, 1]);
  await until('the gauges of the old one are gone', async () => (await gaugesOf('shop-1')).length === 0);
  const shown = await gaugesOf('shop-2');
  for (const name of ['binlog_queue_depth', 'binlog_sync_last_success_timestamp_seconds'])
    assert.ok(shown.includes(name), `${name} is not in ${shown.join()}`);
});

test('the audit log keeps who handed over to whom, once', async () => {
  const { auditFile } = pickCluster(await loadConfig(world.config), 'shop');
  const kept = async () =>
    (await readAudit(auditFile)).flatMap(({ event }) => (event.action === 'handoff' ? [event] : []));
  const [event, ...others] = await kept();
  assert.deepEqual(
    [event?.outcome, event?.subject, event?.from, event?.to, event?.epoch, others],
    ['switched', 'source', 'shop-1', 'shop-2', 2, []],
  );
});

test('a handoff that is made again changes nothing', async () => {
  const kinds = async () =>
    (await world.rawEntries())
      .filter(({ body }) => body.kind.startsWith('handoff'))
      .map(({ sequence }) => sequence);
  const before = await kinds();
  const { code, document } = await world.handoff('--to', 'shop-2');
  assert.equal(code, 0);
  assert.deepEqual([document.outcome, document.epoch], ['already-done', 2]);
  assert.deepEqual(document.stores, { written: [], stoodIn: ['main'], later: [] });
  assert.deepEqual(await kinds(), before);
});

test('everything that was committed restores from both sources together', async (t) => {
  await world.replica.catchUp();
  const executed = GtidSet.parse(await world.replica.gtidExecuted());
  await until('all is archived', async () => {
    await world.pitrail('archive', '--rotate', '--source', 'shop-2');
    return executed.isSubsetOf((await world.catalog()).archivedThrough(1));
  });
  const targetDir = join(world.dir, 'restored');
  const restored = await world.pitrail('restore', '--to', 'latest', '--target-dir', targetDir);
  assert.equal(restored.code, 0, restored.stderr);
  const server = await startRestored(targetDir);
  t.after(() => server.stop());
  assert.ok(executed.equals(GtidSet.parse(await server.gtidExecuted())));
  assert.deepEqual(await tableChecksums(server), await tableChecksums(world.mysql));
});

test('it goes back to the first source, which wakes up and goes on', async () => {
  const { code, document, stderr } = await world.handoff('--to', 'shop-1');
  assert.equal(code, 0, stderr);
  assert.deepEqual([document.from, document.epoch, document.continuity], ['shop-2', 3, 'continues']);
  await until('the replica stands by', async () => (await world.statusOf('shop-2')).phase === 'standing-by');
  await placeOrders(world.mysql, 5, 2);
  const { code: archived, stderr: said } = await world.pitrail('archive', '--once', '--source', 'shop-1');
  assert.equal(archived, 0, said);
  assert.deepEqual((await world.statusOf('shop-1')).hold, { kind: 'held', epoch: 3 });
});
