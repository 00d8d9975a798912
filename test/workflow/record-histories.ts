/**
 * Program: runs real workflows against real servers and writes their histories to
 * `test/fixtures/histories`, for the replay test. Run it by hand after a change of workflow code that
 * is meant to be incompatible: `node test/workflow/record-histories.ts`
 */
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { type ArchiveWorld, startArchiveWorld, until } from './archive-world.ts';
import { type HandoffWorld, startHandoffWorld } from './handoff-world.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/histories/', import.meta.url));

/** Names of hosts and processes, and stacks of code, are of no use to a replay. */
const MACHINE_FIELDS = new Set(['identity', 'stackTrace', 'workerVersion', 'buildId']);

async function record(name: string, handle: WorkflowHandle): Promise<void> {
  const history: unknown = JSON.parse(historyToJSON(await handle.fetchHistory()));
  await writeFile(`${FOLDER}${name}.json`, `${JSON.stringify(history, withoutMachine)}\n`);
}

function withoutMachine(key: string, value: unknown): unknown {
  if (MACHINE_FIELDS.has(key)) return undefined;
  if (key === 'data' && typeof value === 'string') return renamedPayload(value);
  if (typeof value === 'string') return renamed(value);
  return key === 'taskQueue' && isSticky(value) ? { ...value, name: 'sticky' } : value;
}

function renamedPayload(base64: string): string {
  return Buffer.from(renamed(Buffer.from(base64, 'base64').toString())).toString('base64');
}

/** A restore stays on its host, so the host's name is part of what is replayed. */
function renamed(text: string): string {
  return text.replaceAll(hostname(), 'restore-host');
}

function isSticky(queue: unknown): queue is object {
  return (
    typeof queue === 'object' && queue !== null && 'kind' in queue && queue.kind === 'TASK_QUEUE_KIND_STICKY'
  );
}

async function recordAll(world: ArchiveWorld): Promise<void> {
  await world.startWorker();
  await world.pitrail('apply');
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("a")', 'FLUSH BINARY LOGS', 'FLUSH BINARY LOGS');
  await world.pitrail('archive', '--once');
  await world.pitrail('archive', '--pause');
  await until('it is paused', async () => (await world.status()).phase === 'paused');
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("b")', 'FLUSH BINARY LOGS');
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("c")', 'FLUSH BINARY LOGS');
  const gone = (await world.closed()).at(-1);
  await world.mysql.run(`PURGE BINARY LOGS TO '${gone}'`);
  await world.pitrail('archive', '--resume');
  await until('the gap is named', async () => (await world.status()).deadLetters.length > 0);
  await world.pitrail('archive', '--accept-gap', String(gone), '--reason', 'recorded');
  await world.pitrail('archive', '--rotate');
  await world.pitrail('archive', '--once');
  await record('archive-with-gap', world.entity());
  await world.pitrail('backup');
  for await (const { workflowId } of world.client.workflow.list({ query: "WorkflowType='takeBackup'" })) {
    await record('take-backup', world.client.workflow.getHandle(workflowId));
  }
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("d")', 'FLUSH BINARY LOGS');
  await world.pitrail('archive', '--once');
  for (const [requestId, target] of [
    ['done', 'latest'],
    ['refused', '2020-01-01T00:00:00Z'],
  ]) {
    const targetDir = `${world.dir}/restored-${requestId}`;
    const asked = ['--to', String(target), '--target-dir', targetDir, '--request-id', String(requestId)];
    await world.pitrail('restore', ...asked);
    await record(`restore-${requestId}`, world.client.workflow.getHandle(`restore/shop/${requestId}`));
  }
}

async function recordHandoffs(world: HandoffWorld): Promise<void> {
  await world.startWorker();
  await world.pitrail('apply');
  await world.mysql.run('FLUSH BINARY LOGS', 'INSERT INTO d.t (v) VALUES ("e")', 'FLUSH BINARY LOGS');
  await until('it is archived', async () => (await world.archived()).length > 1);
  await world.replica.catchUp();
  const watched = async (source: string) => {
    const { source: now, phase } = await world.watching();
    return now === source && phase === 'watching';
  };
  await until('the primary is watched', () => watched('shop-1'));
  await world.mysql.kill();
  await until('the replica is watched', () => watched('shop-2'));
  await record('handoff-by-watch', world.client.workflow.getHandle('handoff/shop/2'));
  await record('watch', world.client.workflow.getHandle('watch/shop'));
  await world.mysql.start();
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("f")');
  await world.replica.run('STOP REPLICA', 'RESET REPLICA ALL', 'INSERT INTO d.t (v) VALUES ("g")');
  await world.pitrail('archive', '--rotate', '--source', 'shop-2');
  await until('it is archived', async () => {
    const executed = GtidSet.parse(await world.replica.gtidExecuted());
    return executed.isSubsetOf((await world.catalog()).archivedThrough(1));
  });
  await world.handoff('--to', 'shop-1');
  await record('handoff-refused', world.client.workflow.getHandle('handoff/shop/3'));
}

// Few polls make short histories; what is done above wakes the workflow.
const world = await startArchiveWorld({ pollSeconds: 30 });
try {
  await recordAll(world);
} finally {
  await world.stop();
}
const two = await startHandoffWorld({ pollSeconds: 30 });
try {
  await recordHandoffs(two);
} finally {
  await two.stop();
}
