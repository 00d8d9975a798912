/** Promise: a server without access to its files is archived as exactly as any other, and restored from that. */
import assert from 'node:assert/strict';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { startRestored } from '../integration/restore-rig.ts';
import { makeAuthority } from '../support/certificates.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { createShop, placeOrders, startWorkload, tableChecksums } from '../support/workload.ts';
import { type ArchiveWorld, hostSource, startArchiveWorld, until } from './archive-world.ts';

const MB = 1_000_000;

let tls: TestFolder;
let world: ArchiveWorld;
let proxy: TcpProxy;
let worker: Awaited<ReturnType<ArchiveWorld['startWorker']>>;
/** Names the remote source alone; the world's names a source on the host, too, through which backups are taken. */
let remoteOnly: string;

before(async () => {
  tls = await testFolder('pt-tls');
  const authority = makeAuthority('pitrail test CA');
  const { cert, key } = authority.issue(['localhost', '127.0.0.1']);
  const path = (name: string) => join(tls.path, name);
  await writeFile(path('ca.pem'), authority.cert);
  await writeFile(path('cert.pem'), cert);
  await writeFile(path('key.pem'), key, { mode: 0o600 });
  const options = [
    `--ssl-ca=${path('ca.pem')}`,
    `--ssl-cert=${path('cert.pem')}`,
    `--ssl-key=${path('key.pem')}`,
  ];
  world = await startArchiveWorld({
    mysql: { options: [...options, '--max-allowed-packet=1G', '--require-secure-transport=ON'] },
    sources: (mysql) => [
      { id: 'shop-1', mode: 'remote', host: 'localhost', port: 1, tls: { ca: path('ca.pem') } },
      hostSource('shop-host', mysql),
    ],
  });
  proxy = await tcpProxy({ host: '127.0.0.1', port: world.mysql.port });
  remoteOnly = join(world.dir, 'remote.yaml');
  const document = parse(await readFile(world.config, 'utf8'));
  const { shop } = document.clusters;
  shop.sources[0].port = proxy.port;
  await writeFile(world.config, stringify(document));
  shop.sources.pop();
  await writeFile(remoteOnly, stringify(document));
  worker = await world.startWorker();
  const applied = await world.pitrail('--config', remoteOnly, 'apply');
  assert.equal(applied.code, 0, applied.stderr);
  await createShop(world.mysql);
});
after(async () => {
  await world.stop();
  await proxy.stop();
  await tls.remove();
});

async function archiveNow(): Promise<void> {
  const once = await world.pitrail('archive', '--once', '--source', 'shop-1', '--json');
  assert.equal(once.code, 0, once.stdout + once.stderr);
  assert.deepEqual(await world.archived(), await world.closed(), 'each log once, in order');
}

test('a remote source is archived under traffic, and restored from its archive to the last transaction', async () => {
  await world.mysql.run('FLUSH BINARY LOGS');
  await archiveNow();
  const backup = await world.pitrail('backup', '--source', 'shop-host', '--json');
  assert.ok(backup.code === 0 || backup.code === 75, backup.stderr);
  const workload = await startWorkload(world.mysql, { connections: 3 });
  for (let log = 0; log < 4; log += 1) {
    await placeOrders(world.mysql, 50);
    await world.mysql.run('FLUSH BINARY LOGS');
  }
  await workload.stop();
  await world.mysql.run('FLUSH BINARY LOGS');
  await archiveNow();
  const target = join(world.dir, 'restored');
  const restored = await world.pitrail('restore', '--to', 'latest', '--target-dir', target, '--json');
  assert.equal(restored.code, 0, restored.stderr);
  const server = await startRestored(target);
  assert.equal(await server.gtidExecuted(), await world.mysql.gtidExecuted());
  assert.deepEqual(await tableChecksums(server), await tableChecksums(world.mysql));
  await server.stop();
});

test('a base backup through a remote source is refused once, and the way out is named', async () => {
  const refused = await world.pitrail('backup', '--source', 'shop-1');
  assert.equal(refused.code, 3, refused.stderr);
  assert.match(refused.stderr, /remote[\s\S]*mode host[\s\S]*pitrail backup --source shop-host/);
});

test('what --dry-run says of a remote source is what archiving does', async () => {
  await world.pitrail('archive', '--pause', '--source', 'shop-1');
  await until('it rests', async () => (await world.status()).mode === 'paused');
  await world.mysql.run("INSERT INTO d.t (v) VALUES (REPEAT('d', 100000))", 'FLUSH BINARY LOGS');
  const dry = await world.pitrail('archive', '--dry-run', '--source', 'shop-1', '--json');
  const [said] = JSON.parse(dry.stdout).sources;
  assert.deepEqual(said.missingPermissions, []);
  assert.equal(said.archive.length, 1);
  await world.pitrail('archive', '--resume', '--source', 'shop-1');
  await archiveNow();
  const last = (await world.catalog()).allSegments().at(-1);
  assert.deepEqual([said.archive[0].binlog, said.archive[0].key], [last?.segment.binlog, last?.object.key]);
});

/** Closes a log of about 80 MB, and waits until a part of it has come over a slow line. */
async function partOfALog(): Promise<number> {
  proxy.setWeather({ kind: 'throttle', bytesPerSecond: 20 * MB });
  for (let row = 0; row < 16; row += 1) {
    await world.mysql.run('INSERT INTO d.t (v) VALUES (REPEAT(SHA2(RAND(), 256), 78125))');
  }
  await world.mysql.run('FLUSH BINARY LOGS');
  let size = 0;
  await until('half of the log has come', async () => {
    const [part] = (await world.staged()).filter((name) => name.endsWith('.fetch'));
    const path = join(world.stagingDir, world.mysql.serverUuid, String(part));
    size = (await stat(path).catch(() => null))?.size ?? 0;
    return size > 40 * MB;
  });
  return size;
}

test('a worker that is killed in the middle of a log leaves what the next one goes on with', async () => {
  const kept = await partOfALog();
  await worker.kill('SIGKILL');
  await worker.exited;
  proxy.setWeather({ kind: 'clear' });
  const before = proxy.passed('to-client');
  worker = await world.startWorker();
  await archiveNow();
  const again = proxy.passed('to-client') - before;
  assert.ok(again < 80 * MB - kept + 25 * MB, `${again} bytes came again, ${kept} were there`);
  await until('nothing is staged', async () => (await world.staged()).length === 0);
});

test('a line that breaks in the middle of a log is no matter for an operator', async () => {
  const kept = await partOfALog();
  proxy.reset();
  proxy.setWeather({ kind: 'clear' });
  const before = proxy.passed('to-client');
  await archiveNow();
  const again = proxy.passed('to-client') - before;
  assert.ok(again < 80 * MB - kept + 30 * MB, `${again} bytes came again, ${kept} were there`);
  assert.deepEqual((await world.status()).deadLetters, []);
});

test('a log that is damaged on the server is a dead letter, and is read anew once it is whole', async () => {
  await world.mysql.run("INSERT INTO d.t (v) VALUES (REPEAT('m', 100000))");
  const [status] = await world.mysql.query<{ File: string }>('SHOW BINARY LOG STATUS');
  const path = join(world.mysql.binlogDir, String(status?.File));
  await world.pitrail('archive', '--pause', '--source', 'shop-1');
  await until('it rests', async () => (await world.status()).mode === 'paused');
  await world.mysql.run('FLUSH BINARY LOGS');
  await flip(path, 50_000);
  await world.pitrail('archive', '--resume', '--source', 'shop-1');
  await until('it is named', async () => (await world.status()).deadLetters.length > 0);
  const [letter] = (await world.status()).deadLetters;
  assert.deepEqual([letter?.code, letter?.binlog], ['BinlogCorrupt', status?.File]);
  await flip(path, 50_000);
  const why = ['--retry', String(status?.File), '--reason', 'mended'];
  assert.equal((await world.pitrail('archive', '--source', 'shop-1', ...why)).code, 0);
  await until('it is archived', async () => (await world.archived()).includes(String(status?.File)));
  await archiveNow();
});

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0x10;
  await file.write(byte, 0, 1, at);
  await file.close();
}

test('logs that the server purged before they were read are a gap, which is named', async () => {
  proxy.setWeather({ kind: 'refuse' });
  proxy.reset();
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('lost')", 'FLUSH BINARY LOGS');
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('behind')", 'FLUSH BINARY LOGS');
  const closed = await world.closed();
  await world.mysql.run(`PURGE BINARY LOGS TO '${closed.at(-1)}'`);
  proxy.setWeather({ kind: 'clear' });
  await until('the gap is named', async () => (await world.status()).deadLetters.length > 0);
  const [letter] = (await world.status()).deadLetters;
  assert.equal(letter?.code, 'ArchiveGap');
  assert.equal(letter?.binlog, closed.at(-1));
  const accepted = await world.pitrail(
    'archive',
    '--source',
    'shop-1',
    '--accept-gap',
    String(closed.at(-1)),
    '--reason',
    'purged in a test',
  );
  assert.equal(accepted.code, 0, accepted.stderr);
  await until('archiving goes on', async () => (await world.archived()).at(-1) === closed.at(-1));
});
