import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { parseServerUuid } from '../../src/domain/identity.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { messySet } from '../unit/domain/gtid-text.ts';
import { Random } from '../unit/domain/random.ts';

interface Row {
  readonly normal: string;
  readonly joined: string;
  readonly subtracted: string;
  readonly shared: string;
  readonly subset: number;
}

const BATCH = 250;
const BASES = [0n, 0n, 0n, 2n ** 31n, 2n ** 53n - 10n, 2n ** 63n - 42n];

let server: TestMysql;

before(async () => {
  server = await startTestMysql();
});

after(async () => {
  await server.stop();
});

/** Asks the server for its own answers to many pairs at once. */
function askAll(pairs: readonly (readonly [string, string])[]): Promise<Row[]> {
  const rows = pairs.map(
    ([a, b]) =>
      `SELECT GTID_SUBTRACT('${a}', '') AS normal, GTID_SUBTRACT('${a},${b}', '') AS joined,
       GTID_SUBTRACT('${a}', '${b}') AS subtracted,
       GTID_SUBTRACT('${a}', GTID_SUBTRACT('${a}', '${b}')) AS shared, GTID_SUBSET('${a}', '${b}') AS subset`,
  );
  return server.query<Row>(rows.join(' UNION ALL '));
}

function randomPair(random: Random): readonly [string, string] {
  const base = random.pick(BASES);
  const span = random.pick([6, 20, 40]);
  const a = messySet(random, span, base);
  const b = random.once(4)
    ? `${a}${a === '' ? '' : ','}${messySet(random, span, base)}`
    : messySet(random, span, base);
  return [a, b.replace(/,\s*$/, '')];
}

describe('GTID arithmetic and a real server', () => {
  it('agree on 5000 random pairs: normal form, union, difference, intersection, subset', async () => {
    const random = new Random(9_7_4);
    let subsets = 0;
    for (let done = 0; done < 5000; done += BATCH) {
      const pairs = Array.from({ length: BATCH }, () => randomPair(random));
      const rows = await askAll(pairs);
      pairs.forEach(([x, y], index) => {
        const row = rows[index];
        assert.ok(row !== undefined);
        const [a, b] = [GtidSet.parse(x), GtidSet.parse(y)];
        const message = JSON.stringify([x, y]);
        assert.equal(a.toString(), row.normal, message);
        assert.equal(a.union(b).toString(), row.joined, message);
        assert.equal(a.subtract(b).toString(), row.subtracted, message);
        assert.equal(a.intersect(b).toString(), row.shared, message);
        assert.equal(a.isSubsetOf(b), Number(row.subset) === 1, message);
        subsets += Number(row.subset);
      });
    }
    assert.ok(subsets > 500, `only ${subsets} pairs were subsets, so that answer was hardly tested`);
  });

  it('agree on text with a wrong character: what is read here, the server reads the same', async () => {
    const random = new Random(64);
    let read = 0;
    for (let round = 0; round < 600; round += 1) {
      const text = messySet(random, 20);
      const at = random.int(text.length + 1);
      const broken = text.slice(0, at) + random.pick([...',:-0x_ a9']) + text.slice(at + random.int(2));
      let mine: GtidSet;
      try {
        mine = GtidSet.parse(broken);
      } catch {
        continue;
      }
      const [row] = await server.query<{ normal: string }>(`SELECT GTID_SUBTRACT('${broken}', '') AS normal`);
      assert.equal(mine.toString(), row?.normal, JSON.stringify(broken));
      read += 1;
    }
    assert.ok(read > 100, `only ${read} texts were readable`);
  });

  it('agree on what the server has executed, and on the number it gives next', async () => {
    const uuid = parseServerUuid(server.serverUuid);
    const executed = `${uuid}:1-3:5:tag:1-2:9`;
    await server.run('RESET BINARY LOGS AND GTIDS', `SET GLOBAL gtid_purged = '${executed}'`);
    const standing = await server.gtidExecuted();
    assert.equal(GtidSet.parse(executed).toString(), standing);
    const next = GtidSet.parse(standing).next(uuid, '');
    await server.run('CREATE DATABASE IF NOT EXISTS next_number');
    const after = GtidSet.parse(await server.gtidExecuted());
    assert.equal(after.subtract(GtidSet.parse(standing)).toString(), `${uuid}:${next}`);
  });
});
