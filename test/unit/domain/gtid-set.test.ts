import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../src/domain/errors.ts';
import { formatGtid, type Gtid, parseGtid } from '../../../src/domain/gtid.ts';
import { GtidSet, GtidSetBuilder } from '../../../src/domain/gtid-set.ts';
import { parseServerUuid } from '../../../src/domain/identity.ts';
import { messySet, UUIDS } from './gtid-text.ts';
import { Random } from './random.ts';

const U = parseServerUuid(UUIDS[1]);

/** The oracle: a set as the plain set of its GTIDs, read by splitting the text. */
function enumerate(text: string): Set<string> {
  const out = new Set<string>();
  for (const entry of text.replace(/\s/g, '').toLowerCase().split(',')) {
    const [uuid, ...parts] = entry.split(':');
    let tag = '';
    for (const part of parts) {
      const numbers = /^(\d+)(?:-(\d+))?$/.exec(part);
      if (numbers === null) tag = `${part}:`;
      else
        for (let n = Number(numbers[1]); n <= Number(numbers[2] ?? numbers[1]); n += 1)
          out.add(`${uuid}:${tag}${n}`);
    }
  }
  return out;
}

function both(p: Set<string>, q: Set<string>): Set<string> {
  return new Set([...p, ...q]);
}

function without(p: Set<string>, q: Set<string>): Set<string> {
  return new Set([...p].filter((text) => !q.has(text)));
}

function sorted(items: Iterable<string>): string[] {
  return [...items].sort();
}

describe('GTID sets', () => {
  it('agree with plain sets of strings in every operation, on 3000 random pairs', () => {
    const random = new Random(20261120);
    for (let round = 0; round < 3000; round += 1) {
      const [x, y] = [messySet(random, 25), messySet(random, 25)];
      const [a, b] = [GtidSet.parse(x), GtidSet.parse(y)];
      const [p, q] = [enumerate(x), enumerate(y)];
      const message = JSON.stringify([x, y]);
      assert.deepEqual(sorted(enumerate(a.union(b).toString())), sorted(both(p, q)), message);
      assert.deepEqual(sorted(enumerate(a.subtract(b).toString())), sorted(without(p, q)), message);
      assert.deepEqual(
        sorted(enumerate(a.intersect(b).toString())),
        sorted(without(p, without(p, q))),
        message,
      );
      assert.equal(a.isSubsetOf(b), without(p, q).size === 0, message);
      assert.equal(a.intersect(b).isSubsetOf(b), true, message);
      assert.equal(a.equals(b), p.size === q.size && without(p, q).size === 0, message);
      assert.equal(a.count(), BigInt(p.size), message);
      assert.equal(a.isEmpty, p.size === 0, message);
      const every = [...both(p, q)];
      for (const text of every) assert.equal(a.contains(parseGtid(text)), p.has(text), message);
      assert.deepEqual(sorted(a.ranges().flatMap((range) => [...enumerate(range)])), sorted(p), message);
    }
  });

  it('print one text for one set, and read it back', () => {
    const random = new Random(7);
    for (let round = 0; round < 1000; round += 1) {
      const set = GtidSet.parse(messySet(random, 30));
      const again = GtidSet.parse(set.toString());
      assert.ok(again.equals(set));
      assert.equal(again.toString(), set.toString());
      const rebuilt = GtidSet.of(...[...enumerate(set.toString())].reverse().map(parseGtid));
      assert.equal(rebuilt.toString(), set.toString());
    }
  });

  it('print the normal form of the server, tags behind untagged numbers', () => {
    const text = `${UUIDS[1]}:tag:1-3:OTHER:7,${UUIDS[1]}:8:1-3:4-5, ${UUIDS[0]}:zz:1`;
    assert.equal(GtidSet.parse(text).toString(), `${UUIDS[0]}:zz:1,\n${UUIDS[1]}:1-5:8:other:7:tag:1-3`);
    assert.deepEqual(GtidSet.parse(text).ranges(), [
      `${UUIDS[0]}:zz:1`,
      `${UUIDS[1]}:1-5`,
      `${UUIDS[1]}:8`,
      `${UUIDS[1]}:other:7`,
      `${UUIDS[1]}:tag:1-3`,
    ]);
    assert.equal(GtidSet.parse(' \n').toString(), '');
    assert.equal(JSON.stringify({ set: GtidSet.parse(`${U}:1`) }), `{"set":"${U}:1"}`);
  });

  it('reach up to 2^63 - 2', () => {
    const whole = GtidSet.parse(`${U}:1-9223372036854775806`);
    assert.equal(whole.count(), 2n ** 63n - 2n);
    assert.throws(() => whole.next(U, ''), hasCode('GtidsExhausted'));
    assert.equal(whole.subtract(GtidSet.parse(`${U}:9223372036854775806`)).next(U, ''), 2n ** 63n - 2n);
  });

  it('give the lowest unused number, holes first', () => {
    const set = GtidSet.parse(`${U}:1-4:6:tag:2`);
    assert.equal(set.next(U, ''), 5n);
    assert.equal(set.next(U, 'tag'), 1n);
    assert.equal(set.next(parseServerUuid(UUIDS[0]), ''), 1n);
  });

  it('refuse malformed text with the place', () => {
    const cases: [string, number][] = [
      ['x', 0],
      [`${U}`, 36],
      [`${U}:`, 37],
      [`${U}:0`, 37],
      [`${U}:0-4`, 37],
      [`${U}:5-4`, 37],
      [`${U}:1-`, 39],
      [`${U}:1-2-3`, 40],
      [`${U}:9223372036854775807`, 37],
      [`${U}:1:`, 39],
      [`${U}::1`, 37],
      [`${U}:1x`, 38],
      [`${U}:1;`, 38],
      [`${U}:tag`, 40],
      [`${U}:a23456789012345678901234567890123:1`, 37],
      [`${U}:1,`, 39],
      [`,${U}:1`, 0],
      [`${U.replaceAll('-', '')}:1`, 0],
      [`${U}:1 ${U}:2`, 39],
    ];
    for (const [text, offset] of cases) {
      assert.throws(
        () => GtidSet.parse(text),
        (error) => error instanceof AppError && error.kind === 'refused' && error.facts['offset'] === offset,
        text,
      );
    }
  });

  it('are built from adds in any order', () => {
    const random = new Random(99);
    for (let round = 0; round < 200; round += 1) {
      const builder = new GtidSetBuilder();
      const wanted = new Set<string>();
      for (let k = random.int(400); k > 0; k -= 1) {
        const gtid: Gtid = {
          uuid: parseServerUuid(random.pick(UUIDS)),
          tag: random.pick(['', 't']),
          number: BigInt(1 + random.int(300)),
        };
        builder.add(gtid);
        wanted.add(formatGtid(gtid));
        if (random.once(50)) builder.build();
      }
      assert.deepEqual(sorted(enumerate(builder.build().toString())), sorted(wanted));
    }
  });

  it('stay small and fast while a scanner adds: neighbours swapped, two servers interleaved', () => {
    const builder = new GtidSetBuilder();
    const other = parseServerUuid(UUIDS[0]);
    for (let n = 0; n < 400_000; n += 1) builder.addNumber(n % 3 === 0 ? U : other, '', BigInt((n ^ 3) + 1));
    assert.equal(builder.build().count(), 400_000n);
    const descending = new GtidSetBuilder();
    for (let n = 300_000n; n > 0n; n -= 1n) descending.addNumber(U, '', n);
    assert.equal(descending.build().toString(), `${U}:1-300000`);
  });

  it('unite many sets in one go', () => {
    const sets = Array.from({ length: 50 }, (_, k) => GtidSet.parse(`${U}:${1 + k * 2}`));
    assert.equal(GtidSet.unionAll(sets).count(), 50n);
    assert.ok(GtidSet.unionAll([]).isEmpty);
  });
});

describe('GTIDs', () => {
  it('are read in either case and written in one', () => {
    assert.equal(formatGtid(parseGtid(`${U.toUpperCase()}:Tag:5`)), `${U}:tag:5`);
    assert.equal(formatGtid(parseGtid(` ${U}:5 `)), `${U}:5`);
  });

  it('are refused with what is wrong', () => {
    for (const text of [
      U,
      `${U}:1-2`,
      `${U}:0`,
      `${U}:9tag:1`,
      `${U}:a:b:1`,
      'x:1',
      `${U}:9223372036854775807`,
    ]) {
      assert.throws(() => parseGtid(text), AppError, text);
    }
  });
});

function hasCode(code: string) {
  return (error: unknown) => error instanceof AppError && error.code === code;
}
