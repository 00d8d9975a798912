/**
 * Promise: behind handoffs, where sources repeat transactions of one another on one timeline, a plan gives
 * exactly a prefix of the commit order, in which each transaction stands where it is archived first.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RestorePlan } from '../../../src/domain/restore-plan.ts';
import { restorableWindows } from '../../../src/domain/restore-windows.ts';
import { binlogOf, catalogOf, executedAt, misplaced, planOf } from './handoff-history.ts';
import { type Aim, gtidsOf, randomAim, randomWorld, type World } from './handoff-world.ts';
import { Random } from './random.ts';

function checkPass(world: World, plan: RestorePlan, aim: Aim, skip: ReadonlySet<string>, message: string) {
  const { logs, order } = world;
  assert.notEqual(aim.prefix, null, message);
  const truth = order.slice(0, aim.prefix ?? 0).map(({ gtid }) => gtid);
  const wanted = truth.filter((gtid) => !skip.has(gtid));
  assert.deepEqual(gtidsOf(plan.expectedGtids), wanted.toSorted(), message);
  const base = new Set(gtidsOf(plan.base?.gtidExecuted ?? ''));
  const sent = plan.segments.flatMap(({ serverUuid, binlog, send }) => {
    const log = logs.find((it) => it.server.uuid === serverUuid && binlogOf(it) === binlog);
    assert.ok(log, message);
    const wantedHere = new Set(gtidsOf(send));
    const here = log.server.log.slice(log.from, log.to).map(({ gtid }) => gtid);
    const inOrder = here.filter((gtid) => wantedHere.has(gtid));
    assert.equal(inOrder.length, wantedHere.size, message);
    return inOrder;
  });
  const inOrder = wanted.filter((gtid) => !base.has(gtid));
  assert.deepEqual(sent.toSorted(), inOrder.toSorted(), `${message}: each once`);
  if (plan.verdict.reasons.some(({ code }) => code === 'other-logs')) {
    const servers = [...new Set(logs.map(({ server }) => server))];
    assert.deepEqual(misplaced(servers, [...base], sent), [], `${message}: in an order of commit`);
  } else assert.deepEqual(sent, inOrder, `${message}: in order`);
  assert.equal(plan.lastIncluded?.gtid, wanted.at(-1), message);
  assert.equal(plan.firstExcluded?.gtid, order[aim.prefix ?? 0]?.gtid, message);
}

/** True where a base holds nothing behind the aim: the rest is archived. */
function isReachable({ backups, order }: World, prefix: number): boolean {
  const inside = new Set(order.slice(0, prefix).map(({ gtid }) => gtid));
  return backups.some(({ log, executed }) =>
    executedAt(log.server, executed).every((gtid) => inside.has(gtid)),
  );
}

describe('the restore planner behind handoffs, against a brute-force oracle', () => {
  it('passes only with the exact prefix, and refuses only what cannot be reached, in 8000 random cases', () => {
    const random = new Random(1125);
    const seen = { PASS: 0, REFUSED: 0, repeated: 0, among: 0, cheaper: 0 };
    for (let round = 0; round < 8000; round += 1) {
      const world = randomWorld(random);
      const aim = randomAim(random, world);
      const { logs, order, backups } = world;
      const skip = new Set(random.once(5) ? order.filter(() => random.once(8)).map(({ gtid }) => gtid) : []);
      const plan = planOf(catalogOf(logs, backups), logs, aim.target, [...skip].join(','));
      const codes = plan.verdict.reasons.map(({ code }) => code);
      if (codes.includes('other-logs')) seen.cheaper += 1;
      const message = `round ${round}: ${aim.target} gave ${plan.verdict.status} (${codes})`;
      seen[plan.verdict.status] += 1;
      const isAmong = codes.includes('among-repeated');
      assert.equal(isAmong, aim.lags && codes[0] !== 'inside-transaction', message);
      if (isAmong) seen.among += 1;
      if (logs.reduce((sum, { from, to }) => sum + to - from, 0) > order.length) seen.repeated += 1;
      if (plan.verdict.status === 'PASS') checkPass(world, plan, aim, skip, message);
      else if (skip.size === 0 && aim.prefix !== null) {
        const early = aim.target.startsWith('2026') && aim.prefix === 0;
        assert.ok(early || aim.lags || !isReachable(world, aim.prefix), message);
      }
    }
    assert.ok(seen.PASS > 3000 && seen.REFUSED > 1000, JSON.stringify(seen));
    assert.ok(seen.repeated > 2000 && seen.among > 50 && seen.cheaper > 200, JSON.stringify(seen));
  });

  it('gives windows whose ends are targets that a plan reaches, in 1500 random histories', () => {
    const random = new Random(1126);
    let reached = 0;
    for (let round = 0; round < 1500; round += 1) {
      const { logs, backups } = randomWorld(random);
      const facts = catalogOf(logs, backups);
      for (const window of restorableWindows(facts)) {
        assert.equal(window.kind, 'restorable', `round ${round}`);
        if (window.kind !== 'restorable') continue;
        for (const target of [window.toTarget, window.toTime].filter((it) => it !== null)) {
          const plan = planOf(facts, logs, target, '');
          const codes = plan.verdict.reasons.map(({ code }) => code);
          assert.equal(plan.verdict.status, 'PASS', `round ${round}: ${target} (${codes})`);
          if (target !== window.toTarget) continue;
          // It falls short only where no log in reach ends in a state of the commit order.
          const all = new Set(gtidsOf(window.toGtids));
          const reachedGtids = gtidsOf(plan.expectedGtids);
          assert.ok(
            reachedGtids.every((gtid) => all.has(gtid)),
            `round ${round}`,
          );
          if (reachedGtids.length < all.size) continue;
          reached += 1;
        }
      }
    }
    assert.ok(reached > 1000);
  });
});
