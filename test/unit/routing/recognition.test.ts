import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGtid } from '../../../src/domain/gtid.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { coverageLevels, recognizeLogs } from '../../../src/domain/routing/recognition.ts';
import { SERVER } from '../domain/history.ts';
import type { Random } from '../domain/random.ts';
import { onSeeds } from './seeds.ts';

const SERVERS = ['a', 'b', 'c', 'd'] as const;

function setOf(numbers: Iterable<number>): GtidSet {
  return GtidSet.of(...[...numbers].map((n) => parseGtid(`${SERVER}:${n}`)));
}

function some(random: Random, highest: number): Set<number> {
  return new Set(Array.from({ length: highest }, (_, n) => n + 1).filter(() => random.once(2)));
}

test('a level holds exactly what so many sets hold at least', (t) => {
  onSeeds(t, 200, (random, message) => {
    const sets = Array.from({ length: random.int(5) }, () => some(random, 12));
    const levels = coverageLevels(sets.map(setOf), 4);
    levels.forEach((level, index) => {
      const counted = Array.from({ length: 12 }, (_, n) => n + 1).filter(
        (n) => sets.filter((set) => set.has(n)).length > index,
      );
      assert.equal(level.toString(), setOf(counted).toString(), message);
    });
  });
});

test('a log is recognized exactly when each of its transactions lies in logs of enough other servers', (t) => {
  onSeeds(t, 300, (random, message) => {
    const archived = new Map(SERVERS.map((server) => [server, some(random, 14)] as const));
    const order = Array.from({ length: 14 }, (_, n) => n + 1);
    const cuts = [0, ...order.filter(() => random.once(3)), 14];
    const redundancy = 1 + random.int(3);
    const logs = cuts.slice(1).map((to, n) => ({
      binlog: `binlog.${n}`,
      previousGtids: setOf(order.slice(0, cuts[n])),
      successorPreviousGtids: setOf(order.slice(0, to)),
    }));
    const answers = recognizeLogs({
      serverUuid: 'a',
      logs,
      archivedBy: new Map([...archived].map(([server, set]) => [server, setOf(set)])),
      redundancy,
    });
    answers.forEach((answer, n) => {
      const holds = order.slice(cuts[n], cuts[n + 1]);
      const copies = (gtid: number) => SERVERS.slice(1).filter((it) => archived.get(it)?.has(gtid)).length;
      const isEnough = holds.every((gtid) => copies(gtid) >= redundancy);
      assert.equal(answer.kind === 'recognized', isEnough, message);
      if (answer.kind === 'recognized') return;
      const added = holds.filter((gtid) => copies(gtid) === 0 && !archived.get('a')?.has(gtid));
      assert.equal(answer.added.toString(), setOf(added).toString(), message);
      const repeated = holds.filter((gtid) => !added.includes(gtid) && copies(gtid) < redundancy);
      assert.equal(answer.repeated.toString(), setOf(repeated).toString(), message);
    });
  });
});
