import { strict as assert } from 'node:assert';
import { copyFile, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { pitrail } from './cli-run.ts';

/** A line of `scan --json`, as the documentation promises it. */
const FIELDS = [
  'file',
  'serverVersion',
  'previousGtids',
  'gtids',
  'transactions',
  'anonymousTransactions',
  'events',
  'lengthBytes',
  'firstCommit',
  'lastCommit',
  'checksum',
  'closed',
  'inUse',
  'sha256',
  'problems',
];

interface Line extends Readonly<Record<string, unknown>> {
  readonly problems?: readonly { readonly offset: number }[];
  readonly error?: { readonly code: string };
}
let server: TestMysql;

before(async () => {
  server = await startTestMysql();
  await server.run(
    'CREATE DATABASE shop',
    'CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)',
    "INSERT INTO shop.orders (v) VALUES ('a'), ('b')",
    'FLUSH BINARY LOGS',
    "INSERT INTO shop.orders (v) VALUES ('c')",
  );
});
after(() => server.stop());

const log = (number: number) => join(server.binlogDir, `binlog.${String(number).padStart(6, '0')}`);

function linesOf(stdout: string): Line[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

/** The number of the log that is written now. */
async function openLog(): Promise<number> {
  const [row] = await server.query<{ File: string }>('SHOW BINARY LOG STATUS');
  return Number(row?.File.split('.').at(-1));
}

test('a line of JSON for each file, with what the server itself says', async () => {
  const current = await openLog();
  const files = Array.from({ length: current }, (_, index) => log(index + 1));
  const { code, stdout, stderr } = await pitrail(['scan', '--json', ...files]);
  assert.deepEqual([code, stderr], [0, '']);
  const lines = linesOf(stdout);
  assert.deepEqual(
    lines.map(({ file }) => file),
    files,
  );
  for (const line of lines) assert.deepEqual(Object.keys(line), FIELDS);
  assert.deepEqual(
    lines.map(({ closed }) => closed),
    files.map((_, index) => index + 1 < current),
  );
  assert.equal(lines.at(-1)?.['inUse'], true);
  const all = GtidSet.unionAll(lines.map(({ gtids }) => GtidSet.parse(String(gtids))));
  assert.equal(all.toString(), (await server.gtidExecuted()).replaceAll(/\s/g, ''));
  for (const [index, line] of lines.entries()) {
    assert.equal(line['lengthBytes'], (await readFile(files[index] ?? '')).length);
    assert.match(String(line['sha256']), /^[0-9a-f]{64}$/);
  }
});

test('for people there is a table, and the same exit code', async () => {
  const { code, stdout } = await pitrail(['scan', log(1), log(await openLog())]);
  assert.equal(code, 0);
  assert.match(stdout, /^file +state +size +events +transactions/);
  assert.match(stdout, /binlog\.000001 +closed/);
  assert.match(stdout, /in use/);
});

test('a damaged file ends with 4, and tells where; the others are scanned all the same', async () => {
  const damaged = join(server.dir, 'damaged.000001');
  await copyFile(log(1), damaged);
  const handle = await open(damaged, 'r+');
  const { size } = await handle.stat();
  await handle.write(Buffer.from([0xa5]), 0, 1, size - 60);
  await handle.close();
  const { code, stdout, stderr } = await pitrail(['scan', '--json', damaged, log(1), '/no/such/file']);
  assert.equal(code, 4);
  const [first, second, third] = linesOf(stdout);
  assert.equal(typeof first?.problems?.[0]?.offset, 'number');
  assert.match(stderr, /damaged\.000001: at offset [0-9]+/);
  assert.deepEqual(second?.problems, []);
  assert.equal(third?.error?.code, 'BinlogMissing');
  const missing = await pitrail(['scan', '/no/such/file']);
  assert.equal(missing.code, 3);
});
