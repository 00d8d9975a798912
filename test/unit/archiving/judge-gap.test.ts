import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptGap } from '../../../src/archiving/accept-gap.ts';
import { type Acceptance, type GapVerdict, judgeGap } from '../../../src/archiving/judge-gap.ts';
import { newestLine } from '../../../src/archiving/line.ts';
import { placeLog } from '../../../src/domain/archive-line.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { parseBinlogName } from '../../../src/domain/identity.ts';
import { Random } from '../domain/random.ts';
import {
  catalogOf,
  gtidsOf,
  history,
  letterRef,
  nameOf,
  type SampleLog,
  SERVER,
  serverView,
  sourceLog,
} from './archive-samples.ts';

const RUNS = 20_000;

type Fate = 'archived' | 'staged' | 'purged' | 'listed' | 'unreadable';

interface Scene {
  readonly logs: readonly SampleLog[];
  readonly fates: readonly Fate[];
  readonly givenUp: readonly SampleLog[];
  readonly accepted: SampleLog;
  readonly gives: Acceptance['gives'];
}

/** A server some of whose logs are archived, the next ones purged (staged before, or lost), the rest listed. */
function randomScene(random: Random): Scene | null {
  const logs = history(Array.from({ length: 4 + random.int(7) }, () => random.int(4)));
  const archived = 1 + random.int(logs.length - 2);
  const listedFrom = archived + random.int(logs.length - archived);
  const fates = logs.map((_, place): Fate => {
    if (place < archived) return 'archived';
    if (place === logs.length - 1) return 'listed';
    if (place < listedFrom) return random.once(2) ? 'staged' : 'purged';
    return random.once(3) ? 'unreadable' : 'listed';
  });
  const seen = logs.filter((_, place) => place < logs.length - 1 && isSeen(fates[place]));
  if (seen.length === 0) return null;
  const accepted = random.pick(seen);
  const gives = fates[accepted.index - 1] === 'unreadable' || random.once(2) ? 'log' : 'gap';
  const others = seen.filter((log) => log !== accepted && random.once(3));
  return { logs, fates, accepted, gives, givenUp: gives === 'log' ? [...others, accepted] : others };
}

function isSeen(fate: Fate | undefined): boolean {
  return fate === 'staged' || fate === 'listed' || fate === 'unreadable';
}

function headOf({ fates }: Scene, log: SampleLog): 'readable' | 'unreadable' {
  return fates[log.index - 1] === 'unreadable' ? 'unreadable' : 'readable';
}

function judged(scene: Scene): GapVerdict {
  const { logs, fates, accepted, gives } = scene;
  const having = (...wanted: readonly Fate[]) =>
    logs
      .filter((_, place) => wanted.includes(fates[place] as Fate))
      .map((log) => sourceLog(log, headOf(scene, log)));
  const state = catalogOf(logs.filter((_, place) => fates[place] === 'archived'));
  const view = serverView({
    listed: having('listed', 'unreadable'),
    staged: having('staged'),
    givenUp: scene.givenUp.map((log) => letterRef(log, headOf(scene, log))),
    stores: [{ id: 'a', state }],
  });
  return judgeGap(view, state, { letter: letterRef(accepted, headOf(scene, accepted)), gives });
}

function union(logs: readonly SampleLog[]): GtidSet {
  return GtidSet.unionAll(logs.map(gtidsOf));
}

/** What is known without any arithmetic on PREVIOUS_GTIDS: which log holds what, and what became of it. */
function truthOf({ logs, fates, givenUp, accepted }: Scene) {
  const isLost = (log: SampleLog) => fates[log.index - 1] === 'purged' || givenUp.includes(log);
  const toCome = logs.filter((log) => isSeen(fates[log.index - 1]) && !givenUp.includes(log));
  const next = toCome.find((log) => log.index >= accepted.index);
  assert.ok(next, 'the open log is always to come');
  const lost = logs.filter((log) => isLost(log) && log.index < next.index);
  return { toCome, next, lost, waits: toCome.some((log) => log.index < accepted.index) };
}

function check(scene: Scene, verdict: GapVerdict): void {
  const { toCome, next, lost, waits } = truthOf(scene);
  const isBlind = scene.gives === 'log' && headOf(scene, next) === 'unreadable';
  assert.equal(verdict.kind === 'too-early', waits || isBlind);
  if (verdict.kind === 'too-early') return;
  const isKnown = scene.gives === 'gap' || lost.every((log) => scene.givenUp.includes(log));
  const expected = isKnown ? union(lost) : GtidSet.EMPTY;
  const missing = verdict.kind === 'gap' ? GtidSet.parse(verdict.missingGtids) : GtidSet.EMPTY;
  assert.equal(missing.toString(), expected.toString(), 'exactly what is lost, and was decided');
  assert.ok(missing.intersect(union(toCome)).isEmpty, 'nothing that is still to come');
  if (verdict.kind === 'gap') assertGoesOn(scene, verdict, next);
}

/** With the gap accepted, the log behind it follows at once. */
function assertGoesOn({ logs, fates }: Scene, verdict: GapVerdict & { kind: 'gap' }, next: SampleLog): void {
  const { timeline, missingGtids } = verdict;
  const accepted = { kind: 'gap-accepted', timeline, serverUuid: SERVER, missingGtids, detail: '' } as const;
  const state = catalogOf(
    logs.filter((_, place) => fates[place] === 'archived'),
    [accepted],
  );
  const { peek } = sourceLog(next);
  assert.ok(peek);
  const place = placeLog(newestLine(state, SERVER), { binlog: parseBinlogName(nameOf(next)), ...peek });
  assert.equal(place.kind, 'continues');
}

test('an accepted gap names exactly the transactions that are given up, whatever lies around them', () => {
  const random = new Random(20_261_120);
  const seen = new Map<string, number>();
  for (let run = 0; run < RUNS; run += 1) {
    const scene = randomScene(random);
    if (scene === null) continue;
    const verdict = judged(scene);
    try {
      check(scene, verdict);
    } catch (error) {
      throw new Error(`run ${run}: ${JSON.stringify({ scene, verdict })}`, { cause: error });
    }
    const kind = `${scene.gives} ${verdict.kind}`;
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
  }
  const kinds = ['gap gap', 'gap none', 'gap too-early', 'log gap', 'log none', 'log too-early'];
  for (const kind of kinds) assert.ok((seen.get(kind) ?? 0) > RUNS / 100, `${kind}: ${seen.get(kind)}`);
});

test('of logs that cannot be read side by side, one alone is not given up: nobody knows what is in which', () => {
  const logs = history([2, 2, 2, 2, 2]);
  const fates: Fate[] = ['archived', 'unreadable', 'unreadable', 'listed', 'listed'];
  const [, second, third] = logs;
  assert.ok(second && third);
  const scene: Scene = { logs, fates, accepted: second, gives: 'log', givenUp: [second] };
  assert.deepEqual(judged(scene), { kind: 'too-early', behind: 'binlog.000003' });
  const both = { ...scene, givenUp: [second, third] };
  const gap = { kind: 'gap', timeline: 1, missingGtids: `${SERVER}:3-6` };
  assert.deepEqual(judged(both), gap);
  assert.deepEqual(judged({ ...both, accepted: third }), gap);
});

test('while nothing is known of a store that counts nothing is given up: it may hold what is missing here', async () => {
  const logs = history([2, 2, 2]);
  const [first, , third] = logs;
  assert.ok(first && third);
  const present = serverView({
    stores: [{ id: 'a', state: catalogOf([first]) }],
    unknown: ['b'],
    required: ['a', 'b'],
    staged: [sourceLog(third)],
  });
  const options = {
    // What is not asked for before it is known whether anything is given up.
    view: { facts: {} as never, earlier: [], present, reads: [] },
    repositories: {} as never,
    acceptance: { letter: letterRef(third), gives: 'gap' },
    reason: 'purged',
    sign: () => ({ writer: 'test', epoch: 1, at: '2026-11-20T10:00:00.000000Z' }),
  } as const;
  await assert.rejects(acceptGap(options), { code: 'StoreUnknown', kind: 'unavailable' });
});
