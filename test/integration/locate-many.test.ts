/** Promise: what is found is told in the order of commit, in bounded memory, and a list that was cut says so. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runTool } from '../../src/process/run.ts';
import { documentOf, pitrail } from './cli-run.ts';
import { type RestoreRig, startRestoreRig } from './restore-rig.ts';

const FILES = 4;
const DELETES_PER_FILE = 80_000;
const DELETES = FILES * DELETES_PER_FILE;
/** Less than half of what the hits of three files take, all held at once. */
const HEAP = '--max-old-space-size=64';

interface Document {
  readonly statements: readonly {
    readonly op: string;
    readonly gtid: string;
    readonly rows: number;
    readonly restore: string;
  }[];
  readonly extent:
    | { readonly kind: 'all' }
    | { readonly kind: 'cut'; readonly limit: number; readonly next: { readonly gtid: string } };
}

let rig: RestoreRig;
/** Number of the GTID before the first DELETE; each DELETE has the next one. */
let lastBefore: number;
let since: string;

before(async () => {
  rig = await startRestoreRig();
  const { source } = rig;
  await source.run(
    'CREATE DATABASE shop',
    'CREATE TABLE shop.rows_to_go (id INT PRIMARY KEY)',
    'SET SESSION cte_max_recursion_depth = 1000000',
    `INSERT INTO shop.rows_to_go WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ${DELETES}) SELECT n FROM s`,
    `CREATE PROCEDURE shop.empty_it (start_id INT, end_id INT) BEGIN
       WHILE start_id <= end_id DO
         DELETE FROM shop.rows_to_go WHERE id = start_id;
         SET start_id = start_id + 1;
       END WHILE;
     END`,
  );
  since = new Date(Date.now() - 3_600_000).toISOString();
  lastBefore = Number(/:1-(\d+)$/.exec(await source.gtidExecuted())?.[1]);
  for (let file = 0; file < FILES; file += 1) {
    const from = file * DELETES_PER_FILE;
    await source.run(`CALL shop.empty_it(${from + 1}, ${from + DELETES_PER_FILE})`);
    await rig.archive();
  }
  await source.run('DROP TABLE shop.rows_to_go');
  await rig.archive();
});
after(() => rig.stop());

const gtid = (number: number): string => `${rig.source.serverUuid}:${number}`;

function locate(...more: readonly string[]) {
  const args = ['--config', rig.configFile, 'locate', '--since', since, ...more, '--json'];
  return pitrail(args, { env: { NODE_OPTIONS: HEAP } });
}

test('the list ends at its limit with the first ones, and says that it is cut and where', async () => {
  const run = await locate('--op', 'delete', '--limit', '1500');
  assert.equal(run.code, 0, run.stderr);
  const { statements, extent } = documentOf<Document>(run);
  assert.deepEqual(
    statements.map((found) => found.gtid),
    Array.from({ length: 1500 }, (_, index) => gtid(lastBefore + 1 + index)),
  );
  assert.ok(extent.kind === 'cut');
  assert.equal(extent.limit, 1500);
  assert.equal(extent.next.gtid, gtid(lastBefore + 1501));
});

test('a list of exactly the limit is not cut, and a rare statement is found behind all others', async () => {
  const run = await locate('--op', 'drop', '--limit', '1');
  assert.equal(run.code, 0, run.stderr);
  const { statements, extent } = documentOf<Document>(run);
  assert.deepEqual(
    statements.map((found) => [found.op, found.gtid, found.restore]),
    [
      [
        'drop',
        gtid(lastBefore + DELETES + 1),
        `pitrail restore --to before:${gtid(lastBefore + DELETES + 1)}`,
      ],
    ],
  );
  assert.deepEqual(extent, { kind: 'all' });
});

test('people read that the list is cut', async () => {
  const args = ['--config', rig.configFile, 'locate', '--since', since, '--limit', '2'];
  const run = await pitrail(args, { env: { NODE_OPTIONS: HEAP } });
  assert.equal(run.code, 0, run.stderr);
  assert.match(
    run.stdout,
    new RegExp(`at --limit 2, and is not complete: the next is ${gtid(lastBefore + 3)},`),
  );
});

test('every one of hundreds of thousands comes once, in order, under a small heap', async () => {
  const child = fileURLToPath(new URL('locate-child.ts', import.meta.url));
  const tool = { program: process.execPath, args: [HEAP, child] };
  const { stdout } = await runTool(tool, [rig.configFile, since], { timeoutMs: 300_000 });
  assert.deepEqual(JSON.parse(stdout), {
    found: DELETES,
    first: lastBefore + 1,
    outOfOrder: 0,
    rows: DELETES,
    segments: FILES + 1,
  });
});

test('a limit that could not be held is refused', async () => {
  const run = await locate('--limit', '100001');
  assert.equal(run.code, 64, run.stderr);
});
