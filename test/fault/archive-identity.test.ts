import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { parseServerUuid, type ServerUuid } from '../../src/domain/identity.ts';
import { type ArchiveWorld, startArchiveWorld, until } from '../workflow/archive-world.ts';

let world: ArchiveWorld;

before(async () => {
  world = await startArchiveWorld();
  const worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  await until(
    'the first logs are archived',
    async () => (await world.closed()).length === (await world.archived()).length,
  );
  await worker.stop();
});
after(() => world.stop());

/** A staged log that nothing but the staging folder has any more. */
interface Orphan {
  readonly binlog: string;
  readonly sha256: string;
}

/** Writes logs that a worker stages and does not archive, for it is killed; then the server becomes another one. */
async function orphans(): Promise<{ server: ServerUuid; logs: readonly Orphan[] }> {
  const server = parseServerUuid(world.mysql.serverUuid);
  const before = await world.closed();
  for (let i = 0; i < 3; i += 1) {
    await world.mysql.run('INSERT INTO d.t (v) VALUES (REPEAT("o", 1000))', 'FLUSH BINARY LOGS');
  }
  const names = (await world.closed()).filter((name) => !before.includes(name));
  const doomed = await world.startWorker({ PITRAIL_FAULT: 'archive.sealed' });
  await doomed.exited;
  const logs = await Promise.all(
    names.map(async (binlog) => {
      const bytes = await readFile(join(world.mysql.binlogDir, binlog));
      return { binlog, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
  await world.mysql.shutdown();
  await rm(join(world.mysql.dataDir, 'auto.cnf'));
  await world.mysql.start();
  assert.notEqual(world.mysql.serverUuid, server, 'it is another server now');
  await world.mysql.run('FLUSH BINARY LOGS');
  await world.mysql.run(`PURGE BINARY LOGS TO '${(await world.closed()).at(-1)}'`);
  return { server, logs };
}

async function archivedOf(server: ServerUuid): Promise<Orphan[]> {
  return (await world.catalog())
    .segmentsOf(server)
    .map(({ segment: { binlog, sha256 } }) => ({ binlog, sha256 }));
}

test('what lies staged is archived as what it is, though the server has another server_uuid by now', async () => {
  const { server, logs } = await orphans();
  const executed = GtidSet.parse(await world.mysql.gtidExecuted());
  const worker = await world.startWorker();
  await until('nothing is staged', async () => (await world.staged()).length === 0);
  assert.deepEqual((await archivedOf(server)).slice(-3), logs, 'byte for byte, in order');
  assert.equal((await world.pitrail('archive', '--once')).code, 0);
  const state = await world.catalog();
  assert.deepEqual(state.acceptedGaps(), []);
  const archived = GtidSet.unionAll(state.timelines().map(({ timeline }) => state.archivedThrough(timeline)));
  assert.ok(executed.isSubsetOf(archived), 'every transaction that was committed');
  const now = parseServerUuid(world.mysql.serverUuid);
  assert.deepEqual(
    state.timelines().map(({ serverUuid }) => serverUuid),
    [server, now],
    'the present server has the newest timeline',
  );
  await worker.stop();
});

test('a staged log of an earlier server that is damaged is reported under its name, and holds nobody up', async () => {
  const { server, logs } = await orphans();
  const [damaged] = logs;
  assert.ok(damaged);
  const name = (await world.staged()).find((it) => it.startsWith(damaged.binlog) && it.endsWith('.log'));
  const path = join(world.stagingDir, server, String(name));
  const file = await open(path, 'r+');
  await file.write(Buffer.from([0xff]), 0, 1, 400);
  await file.close();
  // Sealed before it was damaged: what is sealed stays right, so the log must be read again.
  await rm(path.replace(/\.log$/, '.json'), { force: true });
  const worker = await world.startWorker();
  await until('it is on the list', async () => (await world.status()).deadLetters.length > 0);
  const [letter] = (await world.status()).deadLetters;
  assert.deepEqual(
    [letter?.serverUuid, letter?.binlog, letter?.code],
    [server, damaged.binlog, 'BinlogCorrupt'],
  );
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("present")', 'FLUSH BINARY LOGS');
  const present = String((await world.closed()).at(-1));
  const now = parseServerUuid(world.mysql.serverUuid);
  await until('the present server is archived', async () =>
    (await archivedOf(now)).some(({ binlog }) => binlog === present),
  );
  const name2 = `${server}/${damaged.binlog}`;
  const accepted = await world.pitrail('archive', '--accept-gap', name2, '--reason', 'damaged', '--json');
  assert.equal(accepted.code, 0, accepted.stdout + accepted.stderr);
  await until('nothing is staged', async () => (await world.staged()).length === 0);
  assert.deepEqual((await archivedOf(server)).slice(-2), logs.slice(1));
  const [gap] = (await world.catalog()).acceptedGaps();
  assert.equal(gap?.serverUuid, server);
  assert.equal(GtidSet.parse(gap?.missingGtids ?? '').count(), 1n);
  await worker.stop();
});
