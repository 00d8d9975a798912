/** Promise: memory that is used again or freed at once is never memory that somebody else still looks at. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeIfWhole, freeNow, LentMemory } from '../../src/process/lent-memory.ts';

test('a block that came back is lent again, one that is out is not', () => {
  const memory = new LentMemory();
  const first = memory.take(1000);
  const second = memory.take(1000);
  assert.notEqual(first.buffer, second.buffer);
  memory.giveBack(first.subarray(10, 20));
  assert.equal(memory.take(1000).buffer, first.buffer);
  assert.notEqual(memory.take(1000).buffer, second.buffer);
});

test('a block of another size is not lent in its place, and memory that was never lent is not taken', () => {
  const memory = new LentMemory();
  memory.giveBack(memory.take(1000));
  assert.equal(memory.take(999).length, 999);
  const foreign = Buffer.allocUnsafeSlow(500);
  memory.giveBack(foreign);
  assert.notEqual(memory.take(500).buffer, foreign.buffer);
  const once = memory.take(2000);
  memory.giveBack(once);
  memory.giveBack(once);
  assert.notEqual(memory.take(2000).buffer, memory.take(2000).buffer);
});

test('a chunk that has its memory alone is freed at once, a slice of a shared slab stays', () => {
  const own = Buffer.allocUnsafeSlow(100_000);
  const { buffer } = own;
  freeNow(own);
  assert.equal(buffer.byteLength, 0);
  const beside = [1, 100, 1000, Buffer.poolSize / 2 - 1].map((bytes) => Buffer.from('x'.repeat(bytes)));
  for (const slice of beside) freeNow(slice);
  for (const slice of beside) assert.match(slice.toString(), /^x+$/);
});

test('a chunk of a store is freed only where it is all of its memory', () => {
  const memory = Buffer.allocUnsafeSlow(100_000);
  const { buffer } = memory;
  freeIfWhole(memory.subarray(0, 99_999));
  assert.equal(buffer.byteLength, 100_000);
  freeIfWhole(memory);
  assert.equal(buffer.byteLength, 0);
});
