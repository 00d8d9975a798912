import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Branch, type FanOut, fanOut } from '../../../src/backup/fan-out.ts';

async function* numbers(count: number, made: { last: number; closed: boolean }): AsyncGenerator<Uint8Array> {
  try {
    for (let n = 0; n < count; n += 1) {
      made.last = n;
      yield Uint8Array.of(n);
    }
  } finally {
    made.closed = true;
  }
}

async function gather(input: AsyncIterable<Uint8Array>): Promise<number[]> {
  const seen: number[] = [];
  for await (const [byte] of input) seen.push(byte ?? -1);
  return seen;
}

function branch(fan: FanOut, index: number): Branch {
  const found = fan.branches[index];
  assert.ok(found);
  return found;
}

const ALL = Array.from({ length: 50 }, (_, n) => n);

describe('fanOut', () => {
  it('gives every reader everything, in order, however slow one is', async () => {
    const made = { last: -1, closed: false };
    const fan = fanOut(numbers(50, made), 3);
    const slow = (async () => {
      const seen: number[] = [];
      for await (const [byte] of branch(fan, 2).output) {
        await sleep(1);
        // At the pace of the slowest: one chunk lies with it, one waits, one is being offered.
        assert.ok(made.last - (byte ?? 0) <= 3);
        seen.push(byte ?? -1);
      }
      return seen;
    })();
    const results = await Promise.all([gather(branch(fan, 0).output), gather(branch(fan, 1).output), slow]);
    await fan.done;
    assert.deepEqual(results, [ALL, ALL, ALL]);
  });

  it('tells of each chunk only when every reader has asked for the next, and never of one that a leaver had', async () => {
    const freed: number[] = [];
    const made = { last: -1, closed: false };
    const fan = fanOut(numbers(50, made), 2, ([byte]) => freed.push(byte ?? -1));
    const checked = (async () => {
      for await (const [byte] of branch(fan, 0).output) assert.ok(!freed.includes(byte ?? -1));
    })();
    const early = (async () => {
      for await (const [byte] of branch(fan, 1).output) {
        await sleep(1);
        assert.ok(!freed.includes(byte ?? -1));
        if (byte === 7) return;
      }
    })();
    await Promise.all([checked, early, fan.done]);
    assert.ok(!freed.includes(7));
    assert.deepEqual(freed.slice(0, 7), ALL.slice(0, 7));
    assert.equal(freed.at(-1), 49);
  });

  it('goes on without a reader that ends early, or leaves before it began', async () => {
    const made = { last: -1, closed: false };
    const fan = fanOut(numbers(50, made), 3);
    branch(fan, 1).leave();
    const early = (async () => {
      for await (const [byte] of branch(fan, 2).output) if (byte === 7) return;
    })();
    const [whole] = await Promise.all([gather(branch(fan, 0).output), early]);
    await fan.done;
    assert.deepEqual(whole, ALL);
  });

  it('closes the input when every reader has left', async () => {
    const made = { last: -1, closed: false };
    const fan = fanOut(numbers(50, made), 2);
    for (const branch of fan.branches) branch.leave();
    await fan.done;
    assert.ok(made.closed);
    assert.ok(made.last < 2);
  });

  it('throws the error of the input at every reader', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(1);
      throw new Error('the disk is gone');
    }
    const fan = fanOut(failing(), 2);
    const results = await Promise.allSettled(fan.branches.map(({ output }) => gather(output)));
    await fan.done;
    assert.deepEqual(
      results.map((result) => result.status === 'rejected' && result.reason.message),
      ['the disk is gone', 'the disk is gone'],
    );
  });
});
