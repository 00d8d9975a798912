import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runTool } from '../../src/process/run.ts';
import { findTool } from '../../src/process/tools.ts';
import type { ArchiveNowResult } from '../../workflows/contracts/archive.ts';
import { type ArchiveWorld, startArchiveWorld, until } from './archive-world.ts';

let world: ArchiveWorld;

before(async () => {
  world = await startArchiveWorld();
  await world.startWorker();
});
after(() => world.stop());

async function temporal(...args: readonly string[]): Promise<string> {
  const tool = await findTool('temporal');
  const { stdout } = await runTool(tool, [...args, '--address', world.temporal.address], {
    timeoutMs: 30_000,
  });
  return stdout;
}

function startByCli(type: string, id: string, input: string): Promise<string> {
  return temporal(
    ...['workflow', 'start', '--type', type, '--task-queue', 'control.local'],
    ...['--workflow-id', id, '--input', input],
  );
}

const BAD_INPUTS = [
  { input: '{"cluster":"shop"}', names: /"source"/ },
  { input: '{"cluster":"shop","source":"shop-1","pol":5}', names: /"pol"/ },
  { input: '{"cluster":"../x","source":"shop-1"}', names: /"cluster"/ },
  { input: '"shop"', names: /object/ },
] as const;

for (const type of ['archiveSource', 'takeBackup']) {
  for (const [index, { input, names }] of BAD_INPUTS.entries()) {
    test(`${type} started with ${input} fails once, names the field and shows an example`, async () => {
      const id = `bad/${type}/${index}`;
      await startByCli(type, id, input);
      const handle = world.client.workflow.getHandle(id);
      const error = await handle.result().then(
        () => assert.fail('it must fail'),
        (failure: Error & { cause?: Error & { type?: string } }) => failure.cause,
      );
      assert.equal(error?.type, 'BadInput');
      assert.match(error?.message ?? '', names);
      assert.match(error?.message ?? '', /Example: \{"cluster":"shop"/);
      const { events } = await handle.fetchHistory();
      const failedTasks = (events ?? []).filter((event) => event.workflowTaskFailedEventAttributes);
      assert.equal(failedTasks.length, 0, 'no workflow task was retried');
    });
  }
}

test('archiving starts, stops, answers and archives by plain JSON from the command line of Temporal', async () => {
  assert.equal((await world.pitrail('apply')).code, 0);
  await world.entity().terminate('started by hand below');
  await startByCli('archiveSource', world.workflowId, '{"cluster":"shop","source":"shop-1"}');
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("x")', 'FLUSH BINARY LOGS');
  await temporal('workflow', 'update', 'execute', '--name', 'archiveNow', '-w', world.workflowId);
  assert.deepEqual(await world.archived(), await world.closed());
  await temporal('workflow', 'signal', '--name', 'pause', '-w', world.workflowId);
  await until('it is paused', async () => (await world.status()).phase === 'paused');
  const answer = await temporal('workflow', 'query', '--type', 'status', '-w', world.workflowId);
  assert.match(answer, /paused/);
  await temporal('workflow', 'signal', '--name', 'resume', '-w', world.workflowId, '--input', '{}');
  await until('it goes on', async () => (await world.status()).mode === 'running');
});

test('a signal that is not understood is refused, shown, and ends nothing', async () => {
  await world.entity().signal('acceptGap', { binlog: 'binlog.000001' });
  await until('the refusal shows', async () =>
    /"reason"/.test((await world.status()).lastRefusedSignal ?? ''),
  );
  await world.entity().signal('retryRefused', { binlog: 'binlog.999999', reason: 'x' });
  await until('it is not on the list', async () =>
    /not on the dead-letter list/.test((await world.status()).lastRefusedSignal ?? ''),
  );
  await world.entity().signal('pause', { now: true });
  await until('the key is named', async () => /now/.test((await world.status()).lastRefusedSignal ?? ''));
  assert.equal((await world.status()).mode, 'running');
});

test('a new run goes on where the last one ended', async () => {
  const before = await world.entity().describe();
  const archivedBefore = (await world.status()).segmentsArchived;
  for (let i = 0; i < 200; i += 1) {
    await world.entity().executeUpdate('archiveNow');
    if ((await world.entity().describe()).runId !== before.runId) break;
  }
  assert.notEqual((await world.entity().describe()).runId, before.runId, 'it continued as new');
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("later")', 'FLUSH BINARY LOGS');
  await world.entity().executeUpdate('archiveNow');
  const status = await world.status();
  assert.equal(status.segmentsArchived, archivedBefore + 1);
  assert.ok((status.heads[0]?.sequence ?? 0) > 1);
});

/** Far more rounds than a run of the workflow has. */
const MANY_ASKED = 2_000;

test('callers who never stop asking cannot keep a run from ending, and each of them is answered', async () => {
  const { runId } = await world.entity().describe();
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("asked for")', 'FLUSH BINARY LOGS');
  const states: string[] = [];
  const hasEnded = async () => (await world.entity().describe()).runId !== runId;
  const ask = async () => {
    while (states.length < MANY_ASKED && !(states.length % 10 === 0 && (await hasEnded()))) {
      const { state } = await world.entity().executeUpdate<ArchiveNowResult, []>('archiveNow');
      states.push(state);
    }
  };
  await Promise.all([ask(), ask(), ask(), ask()]);
  assert.ok(await hasEnded(), `after ${states.length} answers the same run goes on`);
  assert.ok(
    states.every((state) => state === 'done' || state === 'goes-on'),
    states.join(),
  );
  assert.deepEqual(await world.archived(), await world.closed());
  const once = await world.pitrail('archive', '--once', '--json');
  assert.equal(JSON.parse(once.stdout).sources[0].state, 'done');
});

test('an unknown cluster is said by status, and archiveNow says it too', async () => {
  await startByCli('archiveSource', 'archive/nowhere/shop-1', '{"cluster":"nowhere","source":"shop-1"}');
  const handle = world.client.workflow.getHandle('archive/nowhere/shop-1');
  await assert.rejects(handle.executeUpdate('archiveNow'), (error: Error & { cause?: Error }) =>
    /names no cluster/.test(String(error.cause?.message)),
  );
  await handle.terminate();
});
