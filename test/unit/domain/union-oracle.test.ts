/**
 * Promise: several stores, each with parts missing, give together what one whole store gives; where something is
 * in none of them, a plan passes only with an exact state and an order of commit, whatever servers its logs are of.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { factsWithout } from '../../../src/domain/facts-without.ts';
import type { PlanFacts } from '../../../src/domain/plan-facts.ts';
import { planWithout } from '../../../src/domain/plan-without.ts';
import type { RestorePlan } from '../../../src/domain/restore-plan.ts';
import type { StoreCatalog } from '../../../src/domain/union/store-catalog.ts';
import { type CatalogUnion, UnionBuilder } from '../../../src/domain/union/union-builder.ts';
import {
  type ArchivedLog,
  binlogOf,
  catalogOf,
  executedAt,
  isEarlier,
  misplaced,
  planOf,
} from './handoff-history.ts';
import { type Aim, gtidsOf, randomAim, randomWorld, type World } from './handoff-world.ts';
import { Random } from './random.ts';

const STORES = ['a', 'b', 'c'] as const;

/** Which logs and base backups of a world lie in one store, and how far its catalog goes. */
interface Part {
  readonly store: string;
  readonly logs: readonly boolean[];
  readonly backups: readonly boolean[];
  /** It has no entry, and no handoff, of this log and what comes after it. */
  readonly end: number;
  /** What it calls the timeline. */
  readonly timeline: number;
}

/** @param loss one in so many logs and base backups is missing in a store */
function randomParts(random: Random, { logs, backups }: World, loss: number): Part[] {
  return STORES.slice(0, 2 + random.int(2)).map((store) => ({
    store,
    logs: logs.map(() => !random.once(loss)),
    backups: backups.map(() => !random.once(loss)),
    end: random.once(3) ? random.int(logs.length + 1) : logs.length,
    timeline: 1 + random.int(3),
  }));
}

/** What the store's catalog says, as an archiver that could not always reach it left it. */
function catalogIn(whole: PlanFacts, part: Part): StoreCatalog {
  const { store, timeline } = part;
  let sequence = 1;
  const next = () => {
    sequence += 1;
    return sequence;
  };
  const segments: StoreCatalog['segments'][number][] = [];
  const handoffs: StoreCatalog['handoffs'][number][] = [];
  const [first] = whole.segments;
  assert.ok(first);
  whole.segments.slice(0, part.end).forEach(({ segment, object }, index) => {
    const baseline = whole.baselines.find(({ from }) => from === index);
    if (baseline !== undefined) {
      const from = whole.segments[index - 1]?.segment.serverUuid ?? null;
      const continuity = { kind: 'continues', timeline, baselineGtids: baseline.gtids } as const;
      const to = { source: 'to', serverUuid: baseline.serverUuid };
      const route = { kind: 'source', from: { source: 'from', serverUuid: from }, to, continuity } as const;
      handoffs.push({ sequence: next(), epoch: 1 + whole.baselines.indexOf(baseline) + 1, route });
    }
    if (part.logs[index]) segments.push({ sequence: next(), timeline, segment, object });
  });
  const backups = whole.backups
    .filter((_, index) => part.backups[index])
    .map(({ backup, object }) => ({ backup: { ...backup, timeline }, object }));
  const timelines = [{ timeline, serverUuid: first.segment.serverUuid }];
  const { repositoryId, cluster } = whole;
  return { store, repositoryId, cluster, sequence, timelines, segments, backups, handoffs };
}

function unionOf(catalogs: readonly StoreCatalog[]): CatalogUnion {
  const builder = new UnionBuilder();
  for (const catalog of catalogs) builder.add(catalog);
  return builder.build();
}

/** As the whole store would have it: the stores apart, and the number of the timeline. */
function plain({ segments, backups, baselines }: PlanFacts) {
  return {
    segments: segments.map(({ segment, object }) => ({ segment, object })),
    backups: backups
      .map(({ backup, object }) => ({ backup: { ...backup, timeline: 0 }, object }))
      .sort((x, y) => (x.backup.backupId < y.backup.backupId ? -1 : 1)),
    baselines: baselines.map(({ timeline: _, ...rest }) => rest),
  };
}

function logsOf({ logs }: World, { segments }: PlanFacts): ArchivedLog[] {
  return segments.map(({ object }) => logs[Number(object.key)] as ArchivedLog);
}

/** What is sent, transaction by transaction in the order of each file. */
function sentBy(plan: RestorePlan, logs: readonly ArchivedLog[], message: string): string[] {
  return plan.segments.flatMap(({ serverUuid, binlog, send }) => {
    const log = logs.find((it) => it.server.uuid === serverUuid && binlogOf(it) === binlog);
    assert.ok(log, message);
    const wanted = new Set(gtidsOf(send));
    const here = log.server.log.slice(log.from, log.to).map(({ gtid }) => gtid);
    const sent = here.filter((gtid) => wanted.has(gtid));
    assert.equal(sent.length, wanted.size, message);
    return sent;
  });
}

function checkHoldings(
  plan: RestorePlan,
  { segments, backups }: PlanFacts,
  parts: readonly Part[],
  message: string,
) {
  for (const { object, stores } of plan.segments) {
    assert.deepEqual(stores, segments.find((it) => it.object.key === object.key)?.stores, message);
    const holders = parts.filter(({ logs, end }) => logs[Number(object.key)] && Number(object.key) < end);
    assert.deepEqual(
      stores,
      holders.map(({ store }) => store),
      message,
    );
  }
  assert.ok(
    backups.some(({ backup }) => backup.backupId === plan.base?.backupId),
    message,
  );
}

/** An exact state of the history, reached in an order of commit, each transaction once. */
function checkExact(
  world: World,
  logs: readonly ArchivedLog[],
  plan: RestorePlan,
  aim: Aim,
  skip: ReadonlySet<string>,
  message: string,
) {
  const servers = [...new Set(world.logs.map(({ server }) => server))];
  const expected = gtidsOf(plan.expectedGtids);
  const base = gtidsOf(plan.base?.gtidExecuted ?? '');
  const sent = sentBy(plan, logs, message);
  assert.deepEqual([...base, ...sent].sort(), expected, `${message}: each once`);
  assert.deepEqual(misplaced(servers, base, sent), [], `${message}: in an order of commit`);
  const state = [...expected, ...skip];
  const outside = (servers[0]?.log ?? []).map(({ gtid }) => gtid).filter((gtid) => !state.includes(gtid));
  const torn = state.filter((gtid) => outside.some((other) => isEarlier(servers, other, gtid)));
  assert.deepEqual(torn, [], `${message}: what belongs to it is inside`);
  const [kind, gtid = ''] = /^(before|after):(.*)$/.exec(aim.target)?.slice(1) ?? [];
  if (kind === 'before') assert.ok(!expected.includes(gtid), message);
  if (kind === 'after') assert.ok(expected.includes(gtid) || skip.has(gtid), message);
  if (aim.target === 'latest') {
    const all = logs.flatMap(({ server, from, to }) => server.log.slice(from, to));
    assert.ok(
      all.every((it) => expected.includes(it.gtid) || skip.has(it.gtid)),
      message,
    );
  }
}

/** All of `wanted` that the logs can bring, each behind what its own server had executed before it. */
function reachable(logs: readonly ArchivedLog[], wanted: readonly string[]): Set<string> {
  const there = new Set<string>();
  for (let before = -1; before < there.size; ) {
    before = there.size;
    for (const { server, from, to } of logs) {
      const needs = executedAt(server, from).filter((gtid) => wanted.includes(gtid));
      if (!needs.every((gtid) => there.has(gtid))) continue;
      for (const { gtid } of server.log.slice(from, to)) if (wanted.includes(gtid)) there.add(gtid);
    }
  }
  return there;
}

/**
 * A restore that loses a log in its middle goes on with others exactly, or there are none.
 * @returns whether it goes on
 */
function checkWithout(
  random: Random,
  world: World,
  facts: PlanFacts,
  logs: readonly ArchivedLog[],
  plan: RestorePlan,
  message: string,
): boolean {
  const lost = random.pick(plan.segments).object.key;
  const around = planWithout(facts, plan, new Set([lost]));
  const base = gtidsOf(plan.base?.gtidExecuted ?? '');
  const wanted = gtidsOf(plan.expectedGtids).filter((gtid) => !base.includes(gtid));
  if (around === null) {
    const others = logs.filter((_, index) => facts.segments[index]?.object.key !== lost);
    assert.ok(reachable(others, wanted).size < wanted.length, `${message} without ${lost} could be reached`);
    return false;
  }
  assert.ok(
    around.segments.every(({ object }) => object.key !== lost),
    message,
  );
  const sent = sentBy(plan, logs, message);
  const applied = sent.slice(0, random.int(sent.length + 1));
  const rest = sentBy(around, logs, message).filter((gtid) => !applied.includes(gtid));
  assert.deepEqual([...applied, ...rest].sort(), wanted, `${message}: each once`);
  const servers = [...new Set(world.logs.map(({ server }) => server))];
  assert.deepEqual(
    misplaced(servers, base, [...applied, ...rest]),
    [],
    `${message}: goes on in an order of commit`,
  );
  return true;
}

/**
 * The end of the archive is the same state without a log whose transactions others hold.
 * @returns whether there are such
 */
function checkEnd(
  random: Random,
  world: World,
  facts: PlanFacts,
  plan: RestorePlan,
  skip: ReadonlySet<string>,
  message: string,
): boolean {
  const lost = random.pick(facts.segments).object.key;
  const without = factsWithout(facts, new Set([lost]), null);
  if (without === null) return false;
  const logs = logsOf(world, without.facts);
  const end = planOf(without.facts, logs, 'latest', [...skip].join(','));
  assert.equal(end.verdict.status, 'PASS', message);
  assert.equal(end.expectedGtids, plan.expectedGtids, message);
  checkExact(
    world,
    logs,
    end,
    { target: 'latest', prefix: null, lags: false },
    skip,
    `${message} without ${lost}`,
  );
  return true;
}

describe('plans from the union of several stores, against a brute-force oracle', () => {
  it('gives from parts what the whole gives, and from less only what is exact, in 8000 random cases', () => {
    const random = new Random(1127);
    const seen = {
      whole: 0,
      PASS: 0,
      REFUSED: 0,
      mixed: 0,
      missing: 0,
      fenced: 0,
      blocked: 0,
      around: 0,
      end: 0,
    };
    for (let round = 0; round < 8000; round += 1) {
      const world = randomWorld(random);
      const aim = randomAim(random, world);
      const whole = catalogOf(world.logs, world.backups);
      const parts = randomParts(random, world, random.pick([2, 2, 5]));
      const union = unionOf(parts.map((part) => catalogIn(whole, part)));
      const skip = new Set(
        random.once(5) ? world.order.filter(() => random.once(8)).map(({ gtid }) => gtid) : [],
      );
      const logs = logsOf(world, union.facts);
      const message = `round ${round}: ${aim.target}`;
      assert.deepEqual(union.conflicts, [], message);
      if (union.facts.segments.length === 0) continue;
      const timeline = union.facts.segments[0]?.timeline ?? 0;
      const plan = planOf(union.facts, logs, aim.target, [...skip].join(','));
      assert.equal(plan.timeline, timeline, message);
      const codes = plan.verdict.reasons.map(({ code }) => code);
      if (union.fenced.length > 0) seen.fenced += 1;
      const isWhole =
        logs.length === world.logs.length && union.facts.backups.length === world.backups.length;
      if (isWhole) {
        seen.whole += 1;
        assert.deepEqual(plain(union.facts), plain(whole), message);
      }
      seen[plan.verdict.status] += 1;
      if (codes.includes('blocked-transactions')) seen.blocked += 1;
      if (plan.verdict.status === 'PASS') {
        checkHoldings(plan, union.facts, parts, message);
        checkExact(world, logs, plan, aim, skip, `${message} (${codes})`);
        if (plan.segments.length > 0 && checkWithout(random, world, union.facts, logs, plan, message))
          seen.around += 1;
        if (aim.target === 'latest' && checkEnd(random, world, union.facts, plan, skip, message))
          seen.end += 1;
        if (new Set(plan.segments.map(({ stores }) => stores[0])).size > 1) seen.mixed += 1;
        if (plan.verdict.reasons.some((it) => it.code === 'other-logs' && it.because === 'missing'))
          seen.missing += 1;
      } else if (codes.some((code) => code === 'missing-transactions' || code === 'blocked-transactions')) {
        if (plan.base === null || codes.length > 2) continue;
        const base = gtidsOf(plan.base.gtidExecuted);
        const wanted = gtidsOf(plan.expectedGtids).filter((gtid) => !base.includes(gtid));
        assert.ok(reachable(logs, wanted).size < wanted.length, `${message} could be reached (${codes})`);
      }
    }
    assert.ok(seen.whole > 1000 && seen.PASS > 2500 && seen.REFUSED > 1000, JSON.stringify(seen));
    assert.ok(seen.around > 200 && seen.end > 100, JSON.stringify(seen));
    assert.ok(seen.mixed > 250 && seen.missing > 15 && seen.fenced > 30, JSON.stringify(seen));
  });
});
