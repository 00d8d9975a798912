import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { createRoleUser } from '../support/mysql-users.ts';
import { until } from './archive-world.ts';
import { type HandoffWorld, startHandoffWorld } from './handoff-world.ts';

let world: HandoffWorld;
let successor: TestMysql;

before(async () => {
  world = await startHandoffWorld();
  successor = await startTestMysql();
});
after(async () => {
  await successor.stop();
  await world.stop();
});

/** Has `shop-1` be another server from now on, under the same name and staging folder. */
async function replaceServer(): Promise<void> {
  const user = await createRoleUser(successor, 'pitrail', 'archiver');
  await writeFile(`${world.dir}/password-2`, `${user.password}\n`, { mode: 0o600 });
  const config = parse(await readFile(world.config, 'utf8'));
  Object.assign(config.clusters.shop.sources[0], {
    socket: successor.socket,
    binlogDir: successor.binlogDir,
    password: { file: 'password-2' },
  });
  await writeFile(world.config, stringify(config));
}

test('what lies staged of a server that was handed away is not committed behind the boundary, also where its source has another server', async () => {
  const worker = await world.startWorker();
  assert.equal((await world.pitrail('apply')).code, 0);
  await world.mysql.run('FLUSH BINARY LOGS');
  await until('the first logs are archived', async () => {
    return (
      (await world.closed()).length > 0 && String(await world.archived()) === String(await world.closed())
    );
  });
  await worker.stop();
  const before = await world.archived();
  // One log that the replica gets, and one that it does not.
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('on both')", 'FLUSH BINARY LOGS');
  await world.replica.catchUp();
  const shared = await world.mysql.gtidExecuted();
  await world.replica.run('STOP REPLICA');
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('lost')", 'FLUSH BINARY LOGS');
  const [lost] = await world.mysql.query<{ gtids: string }>(
    `SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, '${shared}') AS gtids`,
  );
  const [first, second] = (await world.closed()).slice(before.length);
  const doomed = await world.startWorker({ PITRAIL_FAULT: 'archive.sealed' });
  await doomed.exited;
  assert.ok((await world.staged()).some((name) => name.startsWith(`${second}.`)));
  const { serverUuid } = world.mysql;
  await world.mysql.kill();

  const next = await world.startWorker();
  const { code, document, stderr } = await world.handoff('--to', 'shop-2');
  assert.equal(code, 0, `${stderr}\n${JSON.stringify(document)}`);
  await next.stop();
  await replaceServer();
  await world.startWorker();
  await until('the lost log is named', async () =>
    (await world.statusOf('shop-1')).deadLetters.some(({ binlog }) => binlog === second),
  );

  const boundary = (await world.catalog()).handoffs()[0]?.sequence ?? 0;
  const behind = (await world.catalog()).allSegments().filter(({ sequence }) => sequence > boundary);
  const servers = new Set(behind.map(({ segment }) => segment.serverUuid as string));
  assert.ok(!servers.has(serverUuid), 'nothing of the old server stands behind the boundary');
  // Both were named while the source stood by, and are judged anew when its new server begins.
  await until('only the lost log is on the list, with what is lost', async () => {
    const [letter, ...others] = (await world.statusOf('shop-1')).deadLetters;
    const isLost = letter?.binlog === second && letter?.code === 'HandedAway';
    return others.length === 0 && isLost && letter.message.includes(String(lost?.gtids));
  });
  await until('what the heir has is released', async () =>
    (await world.staged()).every((name) => !name.startsWith(`${first}.`)),
  );
  assert.ok(
    (await world.staged()).some((name) => name.startsWith(`${second}.`)),
    'what nobody has is kept',
  );
});
