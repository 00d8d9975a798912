import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RoundDecision, ServerView } from '../../../src/archiving/decide-round.ts';
import { withinStaging } from '../../../src/archiving/stage-ahead.ts';
import type { LogRef } from '../../../src/archiving/staging.ts';
import { parseBinlogName, parseServerUuid } from '../../../src/domain/identity.ts';
import { serverView } from './archive-samples.ts';

const serverUuid = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');

function log(number: number, lengthBytes: number): LogRef {
  const createdAt = '2026-11-20T10:00:00.000000Z';
  const binlog = parseBinlogName(`binlog.${String(number).padStart(6, '0')}`);
  return { serverUuid, binlog, createdAt, firstCommit: null, lengthBytes };
}

function decision(stage: readonly LogRef[], archive: readonly LogRef[]): RoundDecision {
  return {
    stage,
    archive: archive.map((it) => ({ log: it, successor: null, stores: ['a'] })),
    release: [],
    problems: [],
    backlog: { logs: archive.length, bytes: 0 },
  };
}

function view(...stagedBytes: readonly number[]): readonly ServerView[] {
  const staged = stagedBytes.map((sizeBytes) => ({
    name: 'binlog.000001',
    sizeBytes,
    encrypted: false,
    peek: null,
    problem: null,
  }));
  return [serverView({ serverUuid, mode: 'remote', staged })];
}

const numbers = (logs: readonly LogRef[]) => logs.map(({ binlog }) => Number(binlog.slice(-6)));
const archived = ({ archive }: RoundDecision) => numbers(archive.map((planned) => planned.log));

test('the oldest logs are staged up to the bound, and no log is archived that does not lie there', () => {
  const logs = [log(1, 40), log(2, 40), log(3, 40), log(4, 1)];
  const bounded = withinStaging(decision(logs, logs), view(), { kind: 'bytes', bytes: 100 });
  assert.deepEqual(numbers(bounded.stage), [1, 2], 'a small log does not pass a large one');
  assert.deepEqual(archived(bounded), [1, 2]);
});

test('what lies staged counts, and is archived', () => {
  const logs = [log(1, 40), log(2, 40), log(3, 40)];
  const bounded = withinStaging(decision(logs.slice(1), logs), view(40), { kind: 'bytes', bytes: 90 });
  assert.deepEqual(numbers(bounded.stage), [2]);
  assert.deepEqual(archived(bounded), [1, 2]);
});

test('a log that is larger than the bound is staged alone', () => {
  const logs = [log(1, 500), log(2, 1)];
  const bounded = withinStaging(decision(logs, logs), view(), { kind: 'bytes', bytes: 100 });
  assert.deepEqual(numbers(bounded.stage), [1]);
  const full = withinStaging(decision(logs, logs), view(50), { kind: 'bytes', bytes: 100 });
  assert.deepEqual(numbers(full.stage), []);
  assert.deepEqual(archived(full), []);
});

test('links have no bound', () => {
  const logs = [log(1, 500), log(2, 500)];
  const given = decision(logs, logs);
  assert.deepEqual(withinStaging(given, view(), { kind: 'unbounded' }), given);
});
