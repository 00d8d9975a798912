/** Promise: what a cipher was given is freed only when the cipher is done with it, and only where nobody else has a part. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { SpentInput } from '../../../src/envelope/spent-input.ts';

const MIB = 1024 * 1024;

async function give(spent: SpentInput, chunks: readonly Uint8Array[]): Promise<void> {
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* chunks;
  }
  for await (const _ of spent.watch(all()));
}

const blocks = (count: number): Buffer[] =>
  Array.from({ length: count }, () => Buffer.from(randomBytes(MIB).buffer));
const freed = (chunks: readonly Uint8Array[]): number =>
  chunks.filter(({ buffer }) => buffer.byteLength === 0).length;

test('a chunk is freed when more came out than it and all before it, and what frames them', async () => {
  const spent = new SpentInput();
  const given = blocks(3);
  await give(spent, given);
  spent.free(MIB);
  assert.equal(freed(given), 0);
  spent.free(MIB / 2);
  assert.equal(freed(given), 1);
  spent.free(MIB);
  assert.equal(freed(given), 2);
});

test('chunks that share memory are freed with the last of them, a slab of Node never', async () => {
  const spent = new SpentInput();
  const [shared = Buffer.alloc(0)] = blocks(1);
  const slab = Buffer.from(new ArrayBuffer(Buffer.poolSize));
  const [after = Buffer.alloc(0)] = blocks(1);
  const half = [shared.subarray(0, MIB / 2), shared.subarray(MIB / 2)];
  await give(spent, [slab, ...half, after]);
  spent.free(Buffer.poolSize + MIB / 2 + 100 * 1024);
  assert.equal(shared.buffer.byteLength, MIB);
  spent.free(MIB);
  assert.equal(shared.buffer.byteLength, 0);
  assert.equal(slab.buffer.byteLength, Buffer.poolSize);
});
