import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../../src/domain/errors.ts';
import { type RetryPolicy, retrying } from '../../../src/restoring/retry.ts';

const POLICY: RetryPolicy = { firstDelayMs: 1, maxDelayMs: 5, patienceMs: 100 };

function away(): AppError {
  return new AppError({ code: 'Away', kind: 'unavailable', message: 'It is away.' });
}

function retry(act: (attempt: number) => Promise<string>): Promise<string> {
  let attempt = 0;
  return retrying(
    POLICY,
    new AbortController().signal,
    () => undefined,
    () => {
      attempt += 1;
      return act(attempt);
    },
  );
}

test('a step that ran for long before something went away is tried again', async () => {
  const result = await retry(async (attempt) => {
    if (attempt > 1) return 'done';
    await sleep(150);
    throw away();
  });
  assert.equal(result, 'done');
});

test('what stays away is given up', async () => {
  await assert.rejects(
    retry(() => Promise.reject(away())),
    { code: 'Away' },
  );
});
