import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CatalogBody } from '../../../src/domain/catalog-entry.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { parseServerUuid } from '../../../src/domain/identity.ts';
import { archivedGtids } from '../../../src/domain/routing/catalog-view.ts';
import { compareCatalogs } from '../../../src/domain/routing/compare.ts';
import { contiguousRanges } from '../../../src/domain/routing/contiguous.ts';
import { planSync } from '../../../src/domain/routing/sync-plan.ts';
import { Random } from '../domain/random.ts';
import { randomLife, viewOf } from './history-catalogs.ts';
import { onSeeds } from './seeds.ts';

type Archived = Extract<CatalogBody, { kind: 'segment-archived' }>;

function isArchived(body: CatalogBody): body is Archived {
  return body.kind === 'segment-archived';
}

/** A life with at least five logs on its first timeline. */
function longLife(): CatalogBody[] {
  for (let seed = 1; ; seed += 1) {
    const life = randomLife(new Random(seed));
    if (life.filter(isArchived).filter(({ timeline }) => timeline === 1).length >= 5) return life;
  }
}

/** Does the steps of a plan, as far as they come before a crash. */
function carryOut(bodies: readonly CatalogBody[], steps: readonly { body: CatalogBody }[], upTo: number) {
  return [...bodies, ...steps.slice(0, upTo).map(({ body }) => body)];
}

test('two catalogs of one life are equal; what one lacks is named, entry by entry and GTID by GTID', (t) => {
  onSeeds(t, 150, (random, message) => {
    const life = randomLife(random);
    const whole = viewOf('main', life);
    assert.deepEqual(compareCatalogs(whole, viewOf('s3', life)).differences, [], message);
    const kept = life.filter(() => !random.once(4));
    const part = viewOf('s3', kept);
    const compared = compareCatalogs(whole, part);
    const lost = life.filter((body) => !kept.includes(body));
    const missing = compared.differences.filter((it) => it.kind === 'missing');
    // Without its start a timeline is another one, so what is on it counts as missing on both sides.
    if (lost.some(({ kind }) => kind === 'timeline-started')) return;
    assert(
      missing.every(({ store }) => store === 's3'),
      message,
    );
    assert.deepEqual(missing.map(({ what }) => what).sort(), lost.map(({ kind }) => kind).sort(), message);
    const gtids = GtidSet.unionAll(
      lost.filter(isArchived).map(({ segment }) => GtidSet.parse(segment.gtids)),
    );
    const truly = gtids.subtract(archivedGtids(part));
    assert.equal(compared.onlyInFirst, truly.toString(), message);
    assert.equal(compared.onlyInSecond, '', message);
    const matters = lost.some(({ kind }) => kind !== 'segment-refused');
    assert.equal(compared.verdict, matters ? 'different' : 'equal', message);
  });
});

test('one changed field of one entry is found and named, whichever it is', (t) => {
  onSeeds(t, 100, (random, message) => {
    const life = randomLife(random);
    const body = random.pick(life.filter(isArchived));
    const changes: readonly [string, Partial<Archived['segment']>][] = [
      ['segment.sha256', { sha256: 'f'.repeat(64) as Archived['segment']['sha256'] }],
      ['segment.gtids', { gtids: '' }],
      ['segment.lengthBytes', { lengthBytes: 7 }],
      ['segment.lastCommit', { lastCommit: null }],
    ];
    const [field, change] = random.pick(changes);
    const changed = { ...body, segment: { ...body.segment, ...change } };
    const other = life.map((it) => (it === body ? changed : it));
    const { verdict, differences } = compareCatalogs(viewOf('main', life), viewOf('s3', other));
    assert.equal(verdict, 'different', message);
    assert.equal(differences.length, 1, message);
    const [found] = differences;
    assert(found?.kind === 'differs', message);
    assert.deepEqual(found.fields, [field], message);
    const { steps, obstacles } = planSync(viewOf('main', life), viewOf('s3', other));
    assert.deepEqual([steps.length, obstacles.map(({ kind }) => kind)], [0, ['differs']], message);
  });
});

test('the same log sealed twice is told, and is no difference in what can be restored', () => {
  const life = longLife();
  const body = life.find(isArchived) as Archived;
  const again = {
    ...body,
    object: { ...body.object, sha256: 'e'.repeat(64) as Archived['object']['sha256'] },
  };
  const other = life.map((it) => (it === body ? again : it));
  const { verdict, differences } = compareCatalogs(viewOf('main', life), viewOf('s3', other));
  assert.equal(verdict, 'equal');
  assert.deepEqual(
    differences.map(({ kind }) => kind),
    ['sealed-twice'],
  );
});

test('a sync makes an empty, a late or a half filled store equal, also when it is cut short and planned again', (t) => {
  onSeeds(t, 200, (random, message) => {
    const life = randomLife(random);
    const from = viewOf('main', life);
    // A store that was away gets nothing from some day on; one that was added later has nothing.
    let held: readonly CatalogBody[] = life.slice(0, random.once(3) ? 0 : random.int(life.length + 1));
    for (let tries = 0; ; tries += 1) {
      assert(tries < 100, `${message}: it comes to no end`);
      const { steps, obstacles, bytes } = planSync(from, viewOf('s3', held));
      assert.deepEqual(obstacles, [], message);
      const sum = steps.reduce((all, { body }) => all + ('object' in body ? body.object.lengthBytes : 0), 0);
      assert.equal(bytes, sum, message);
      if (steps.length === 0) break;
      held = carryOut(held, steps, random.int(steps.length + 1));
    }
    const compared = compareCatalogs(from, viewOf('s3', held));
    assert.deepEqual(compared.differences, [], message);
    const segments = (bodies: readonly CatalogBody[]) =>
      bodies.filter(isArchived).map(({ object }) => object.key);
    assert.deepEqual(segments(held), segments(life), `${message}: in the order of commit`);
  });
});

test('timelines that the other store numbers otherwise are matched by what they are', (t) => {
  onSeeds(t, 150, (random, message) => {
    const life = randomLife(random);
    const starts = life.filter((body) => body.kind === 'timeline-started');
    const servers = [...new Set(starts.map(({ serverUuid }) => serverUuid))];
    if (servers.length < 2) return;
    // The other store met the servers one after the other, and gave numbers as they came.
    const numbers = new Map<number, number>();
    for (const uuid of servers.toReversed()) {
      for (const { serverUuid, timeline } of starts) {
        if (serverUuid === uuid) numbers.set(timeline, numbers.size + 1);
      }
    }
    const renumbered = life.map((body): CatalogBody => {
      if (body.kind === 'timeline-started') {
        const parent = body.parent === null ? null : (numbers.get(body.parent) ?? 0);
        return { ...body, parent, timeline: numbers.get(body.timeline) ?? 0 };
      }
      if (body.kind === 'segment-archived' || body.kind === 'gap-accepted') {
        return { ...body, timeline: numbers.get(body.timeline) ?? 0 };
      }
      if (body.kind !== 'backup-registered') return body;
      return { ...body, backup: { ...body.backup, timeline: numbers.get(body.backup.timeline) ?? 0 } };
    });
    const ordered = renumbered.toSorted((a, b) => serverRank(servers, a) - serverRank(servers, b));
    const held = viewOf('s3', ordered.slice(0, random.int(ordered.length + 1)));
    const { steps, obstacles } = planSync(viewOf('main', life), held);
    assert.deepEqual(obstacles, [], message);
    const filled = viewOf(
      's3',
      carryOut(
        held.entries.slice(1).map(({ body }) => body),
        steps,
        steps.length,
      ),
    );
    assert.deepEqual(compareCatalogs(viewOf('main', life), filled).differences, [], message);
  });
});

function serverRank(servers: readonly string[], body: CatalogBody): number {
  const uuid =
    body.kind === 'segment-archived'
      ? body.segment.serverUuid
      : body.kind === 'backup-registered'
        ? body.backup.serverUuid
        : 'serverUuid' in body
          ? body.serverUuid
          : '';
  return -servers.indexOf(uuid as never);
}

test('an entry that would stand behind later ones of its timeline is an obstacle with its name', () => {
  const life = longLife();
  const segments = life.filter(isArchived).filter(({ timeline }) => timeline === 1);
  const late = segments[2] as Archived;
  const upTo = life.indexOf(segments[3] as Archived) + 1;
  const held = viewOf(
    's3',
    life.slice(0, upTo).filter((body) => body !== late),
  );
  const { steps, obstacles } = planSync(viewOf('main', life), held);
  const [obstacle] = obstacles;
  assert(obstacle?.kind === 'too-late' && obstacles.length === 1);
  assert.match(obstacle.name, new RegExp(late.segment.binlog));
  assert.equal(obstacle.gtids, late.segment.gtids);
  assert(steps.every(({ body }) => body !== late));
});

/** A log of another server that repeats and goes on with what is archived, and the handoff before it. */
function heir(body: Archived, gtids: string): readonly [CatalogBody, Archived] {
  const serverUuid = parseServerUuid('ffffffff-ffff-11e1-9e33-c80aa9429562');
  const route = {
    kind: 'source',
    from: { source: 'shop-1', serverUuid: body.segment.serverUuid },
    to: { source: 'shop-2', serverUuid },
    continuity: { kind: 'continues', timeline: body.timeline, baselineGtids: '' },
  } as const;
  const segment = { ...body.segment, serverUuid, previousGtids: '', gtids };
  return [
    { kind: 'handoff', route, reason: 'source-unreachable', detail: 'x' },
    { ...body, segment },
  ];
}

test('what a fenced writer wrote where nobody stopped it is never put behind the handoff, unless its heir has it', () => {
  const life = longLife();
  const own = life.filter(isArchived).filter(({ timeline }) => timeline === 1);
  const stray = own[4] as Archived;
  const before = life.slice(0, life.indexOf(stray));
  const unstopped = viewOf('s3', [...before, stray]);
  // The heir has all but the stray log: that one was lost in the failover.
  const [handoff, without] = heir(stray, (own[3] as Archived).segment.gtids);
  const lost = viewOf('main', [...before, handoff, without]);
  const plan = planSync(unstopped, lost);
  assert.deepEqual(
    plan.obstacles.map(({ kind }) => kind),
    ['fenced'],
  );
  assert.deepEqual(plan.steps, []);
  const { onlyInFirst, verdict } = compareCatalogs(unstopped, lost);
  assert.equal(onlyInFirst, stray.segment.gtids, 'the lost transactions, exactly');
  assert.equal(verdict, 'different');
  // The heir has them in a log of its own: nothing is missing, and nothing is copied twice.
  const all = GtidSet.parse(without.segment.gtids).union(GtidSet.parse(stray.segment.gtids)).toString();
  const [, whole] = heir(stray, all);
  const kept = viewOf('main', [...before, handoff, whole]);
  assert.deepEqual(planSync(unstopped, kept), { steps: [], obstacles: [], bytes: 0 });
  const back = planSync(kept, unstopped);
  assert.deepEqual(
    back.steps.map(({ body }) => body.kind),
    ['handoff', 'segment-archived'],
  );
  const filled = viewOf('s3', carryOut([...before, stray], back.steps, 2));
  const compared = compareCatalogs(kept, filled);
  assert.deepEqual([compared.verdict, compared.differences.map(({ kind }) => kind)], ['equal', ['covered']]);
});

test('ranges end where something is missing, and say what and whether it was given up', (t) => {
  onSeeds(t, 150, (random, message) => {
    const life = randomLife(random);
    const kept = life.filter((body) => !isArchived(body) || !random.once(5));
    const ranges = contiguousRanges(viewOf('main', kept));
    for (const timeline of new Set(kept.filter(isArchived).map((body) => body.timeline))) {
      const own = kept.filter(isArchived).filter((body) => body.timeline === timeline);
      const here = ranges.filter((range) => range.timeline === timeline);
      assert.equal(
        here.reduce((sum, { logs }) => sum + logs, 0),
        own.length,
        message,
      );
      assert.equal(here.at(-1)?.endsAt.kind, 'end-of-archive', message);
      const gtids = GtidSet.unionAll(here.map((range) => GtidSet.parse(range.gtids)));
      const truth = GtidSet.unionAll(own.map(({ segment }) => GtidSet.parse(segment.gtids)));
      assert(gtids.equals(truth), message);
      const all = GtidSet.parse(own.at(-1)?.segment.previousGtids ?? '');
      const before = GtidSet.parse(own[0]?.segment.previousGtids ?? '');
      const holes = all.subtract(truth).subtract(before);
      const named = here.flatMap(({ endsAt }) =>
        endsAt.kind === 'gap' ? [GtidSet.parse(endsAt.missingGtids)] : [],
      );
      assert(GtidSet.unionAll(named).equals(holes), `${message}: every hole is named`);
      const given = kept
        .filter((body) => body.kind === 'gap-accepted')
        .filter((body) => body.timeline === timeline)
        .map(({ missingGtids }) => GtidSet.parse(missingGtids));
      for (const { endsAt } of here) {
        if (endsAt.kind !== 'gap') continue;
        const isGiven = GtidSet.parse(endsAt.missingGtids).isSubsetOf(GtidSet.unionAll(given));
        assert.equal(endsAt.standing, isGiven ? 'accepted' : 'unexplained', message);
      }
    }
  });
});
