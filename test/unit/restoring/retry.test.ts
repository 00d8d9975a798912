import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../../../src/domain/errors.ts';
import { type RetryPolicy, retryDelayMs, retrying } from '../../../src/restoring/retry.ts';

const POLICY: RetryPolicy = { firstDelayMs: 2, maxDelayMs: 8, patienceMs: 5_000 };
const never = new AbortController().signal;

function failure(kind: 'unavailable' | 'corrupt'): AppError {
  return new AppError({ code: 'Test', kind, message: 'for the test' });
}

test('delays double up to their bound, and half of each is left to chance', () => {
  assert.deepEqual(
    [1, 2, 3, 4].map((attempt) => retryDelayMs(POLICY, attempt, 1)),
    [2, 4, 8, 8],
  );
  assert.deepEqual(
    [1, 2, 3, 4].map((attempt) => retryDelayMs(POLICY, attempt, 0)),
    [1, 2, 4, 4],
  );
});

test('what is unavailable is tried until it is there; what is corrupt is not tried again', async () => {
  const notices: number[] = [];
  let calls = 0;
  const act = async () => {
    calls += 1;
    if (calls < 4) throw failure('unavailable');
    return 'there';
  };
  assert.equal(await retrying(POLICY, never, ({ attempt }) => notices.push(attempt), act), 'there');
  assert.deepEqual(notices, [1, 2, 3]);
  await assert.rejects(
    retrying(
      POLICY,
      never,
      () => assert.fail('no retry'),
      async () => Promise.reject(failure('corrupt')),
    ),
    { kind: 'corrupt' },
  );
});

test('patience ends, and so does a wait that is interrupted', async () => {
  const impatient = { ...POLICY, patienceMs: 20 };
  const away = async () => Promise.reject(failure('unavailable'));
  await assert.rejects(
    retrying(impatient, never, () => undefined, away),
    { kind: 'unavailable' },
  );
  const stop = new AbortController();
  const reason = new Error('stopped');
  const waiting = retrying(
    { ...POLICY, firstDelayMs: 60_000, maxDelayMs: 60_000, patienceMs: 120_000 },
    stop.signal,
    () => stop.abort(reason),
    away,
  );
  await assert.rejects(waiting);
});
