import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AppError } from '../../../src/domain/errors.ts';
import { parseGtid } from '../../../src/domain/gtid.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { planDump, type SourceSegment } from '../../../src/replay/dump-plan.ts';
import { judgeReplay, type ReplayFacts } from '../../../src/replay/progress.ts';
import { TransactionFilter } from '../../../src/replay/transaction-filter.ts';
import { planTuning } from '../../../src/replay/tuning.ts';
import { compareXa } from '../../../src/replay/verify.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const set = (text: string) => GtidSet.parse(text.replaceAll('A:', `${A}:`));

function segment(binlog: string, send: string): SourceSegment {
  const open = () => {
    throw new Error('a plan opens nothing');
  };
  return { serverUuid: A, binlog, lengthBytes: 1, send: set(send), open };
}

describe('what a replica is sent', () => {
  const segments = [segment('b.1', 'A:1-5'), segment('b.2', 'A:6-9'), segment('b.3', 'A:8-12')];

  test('is the plan less what it has, each GTID from one file only', () => {
    const steps = planDump(segments, set('A:1-7'));
    assert.deepEqual(
      steps.map((step) => [step.segment.binlog, step.wanted.toString(), step.start]),
      [
        ['b.2', `${A}:8-9`, 'resumed'],
        ['b.3', `${A}:10-12`, 'resumed'],
      ],
    );
  });

  test('is nothing where it has all, and everything where it has nothing', () => {
    assert.deepEqual(planDump(segments, set('A:1-20')), []);
    assert.deepEqual(
      planDump(segments, GtidSet.EMPTY).map((step) => step.start),
      ['from-the-start', 'from-the-start', 'resumed'],
    );
  });
});

describe('the transaction filter', () => {
  const events = (text: string) =>
    text.split(' ').map((word) => {
      const [kind, gtid] = word.split('=');
      const type =
        { g: 33, t: 42, anon: 34, q: 2, x: 16, prev: 35, rot: 4, ign: 99, fde: 15 }[kind ?? ''] ?? 0;
      const name = (gtid ?? '1').includes(':') ? `${A}:${gtid}` : `${A}:${gtid ?? '1'}`;
      return { type, flags: kind === 'ign' ? 0x80 : 0, gtid: () => parseGtid(name) };
    });
  const kinds = (wanted: string, text: string) => {
    const filter = new TransactionFilter(set(wanted));
    return events(text).map((event) => filter.decide(event).kind);
  };
  const missingOf = (wanted: string, text: string) => {
    const filter = new TransactionFilter(set(wanted));
    for (const event of events(text)) filter.decide(event);
    return filter.missing().toString();
  };

  test('sends transactions whole or not at all', () => {
    assert.deepEqual(kinds('A:2', 'prev g=1 q x g=2 q x g=3'), [
      'send',
      'skip',
      'skip',
      'skip',
      'send',
      'send',
      'send',
      'finished',
    ]);
    assert.deepEqual(kinds('A:night:7', 't=7 q t=night:7 q rot'), [
      'skip',
      'skip',
      'send',
      'send',
      'finished',
    ]);
    assert.deepEqual(kinds('A:1', 'anon q g=1 x'), ['skip', 'skip', 'send', 'send']);
  });

  test('follows the order of the file, not of the numbers', () => {
    assert.deepEqual(kinds('A:5:9', 'g=9 q g=4 q g=5 q g=6'), [
      'send',
      'send',
      'skip',
      'skip',
      'send',
      'send',
      'finished',
    ]);
  });

  test('knows what the file did not have, and what cannot be', () => {
    assert.equal(missingOf('A:1-3', 'g=1 q g=3 q'), `${A}:2`);
    assert.deepEqual(kinds('A:1', 'q ign fde'), ['corrupt', 'skip', 'corrupt']);
  });
});

describe('the verdict on a running replay', () => {
  const idle = { state: 'running', errno: 0, message: '' } as const;
  const facts = (change: Partial<ReplayFacts>): ReplayFacts => ({
    expected: set('A:1-10'),
    executed: set('A:1-5'),
    channel: { receiver: idle, applier: idle, received: set('A:6-7') },
    worker: null,
    source: { kind: 'sending', serverUuid: A, binlog: 'b.1' },
    sourceFailure: null,
    msSinceProgress: 0,
    stallMs: 1000,
    ...change,
  });
  const verdict = (change: Partial<ReplayFacts>) => judgeReplay(facts(change));
  const code = (change: Partial<ReplayFacts>) => {
    const judged = verdict(change);
    return judged.kind === 'failed' ? judged.error.code : judged.kind;
  };
  const broken = (kind: 'corrupt' | 'unavailable') =>
    new AppError({ code: 'Broken', kind, message: 'broken' });

  test('is reached at exactly the expected set', () => {
    assert.equal(code({ executed: set('A:1-10') }), 'reached');
    assert.equal(code({ executed: set('A:1-9') }), 'applying');
    assert.equal(code({ executed: set('A:1-11') }), 'UnplannedTransactions');
  });

  test('names the transaction that cannot be applied, with both ways on', () => {
    const judged = verdict({
      channel: {
        receiver: idle,
        applier: { state: 'stopped', errno: 1062, message: 'coordinator' },
        received: set(''),
      },
      worker: { gtid: `${A}:6`, errno: 1062, message: 'Duplicate entry' },
    });
    assert.equal(judged.kind, 'failed');
    if (judged.kind !== 'failed') return;
    assert.match(
      judged.error.message,
      /Transaction .*:6 could not be applied \(MySQL error 1062\): Duplicate entry/,
    );
    assert.match(judged.error.hint ?? '', /before:.*:6.*--skip-gtid .*:6/);
  });

  test('a damaged archive ends it at once, an absent store only after a while', () => {
    assert.equal(code({ sourceFailure: broken('corrupt') }), 'Broken');
    assert.equal(code({ sourceFailure: broken('unavailable') }), 'applying');
    assert.equal(code({ sourceFailure: broken('unavailable'), msSinceProgress: 1000 }), 'Broken');
  });

  test('a long transaction is no stall, a receiver without its source is one', () => {
    assert.equal(code({ msSinceProgress: 99_999 }), 'applying');
    const connecting = { state: 'connecting', errno: 2003, message: 'no source' } as const;
    const channel = { receiver: connecting, applier: idle, received: set('') };
    assert.equal(code({ channel }), 'applying');
    assert.equal(code({ channel, msSinceProgress: 1000 }), 'ReplayStalled');
    const stopped = {
      receiver: { ...connecting, state: 'stopped' } as const,
      applier: idle,
      received: set(''),
    };
    assert.equal(code({ channel: stopped }), 'receiver-stopped');
  });

  test('what was never sent is named once nothing waits to be applied', () => {
    const source = { kind: 'everything-sent' } as const;
    const applied = { receiver: idle, applier: idle, received: set('A:4-5') };
    assert.equal(code({ source, msSinceProgress: 1000 }), 'applying');
    assert.equal(code({ source, channel: applied }), 'applying');
    assert.equal(code({ source, channel: applied, msSinceProgress: 1000 }), 'TransactionsNeverSent');
  });
});

describe('the tuning', () => {
  const GiB = 1024 ** 3;
  const facts = {
    availableMemoryBytes: 16 * GiB,
    cores: 4,
    dataBytes: GiB,
    freeDiskBytes: 100 * GiB,
    lowerCaseTableNames: 0,
  };

  test('takes memory from what is free, and no more than the data needs', () => {
    assert.equal(planTuning(facts).bufferPoolBytes, 4 * GiB);
    assert.equal(planTuning({ ...facts, dataBytes: 50 * GiB }).bufferPoolBytes, 8 * GiB);
    assert.equal(planTuning({ ...facts, availableMemoryBytes: 0 }).bufferPoolBytes, GiB / 8);
  });

  test('leaves disk free, and has a bound on workers', () => {
    assert.equal(planTuning({ ...facts, freeDiskBytes: 8 * GiB }).redoCapacityBytes, GiB);
    assert.equal(planTuning({ ...facts, freeDiskBytes: 0 }).redoCapacityBytes, GiB / 8);
    assert.equal(planTuning({ ...facts, cores: 1 }).workers, 4);
    assert.equal(planTuning({ ...facts, cores: 128 }).workers, 32);
  });

  test('never logs, schedules or listens', () => {
    const { options } = planTuning(facts);
    for (const wanted of [
      '--skip-log-bin',
      '--event-scheduler=OFF',
      '--skip-replica-start',
      '--relay-log-recovery=ON',
    ]) {
      assert.ok(options.includes(wanted), wanted);
    }
  });
});

test('prepared XA transactions are compared in any order', () => {
  const xa = (dataHex: string, formatId = 1) => ({ formatId, gtridLength: 1, bqualLength: 0, dataHex });
  assert.deepEqual(compareXa([xa('01'), xa('02')], [xa('02'), xa('01')]), { lost: [], appeared: [] });
  assert.deepEqual(compareXa([xa('01')], [xa('01', 2)]), { lost: [xa('01')], appeared: [xa('01', 2)] });
});
