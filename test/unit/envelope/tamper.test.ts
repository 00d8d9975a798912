import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, test } from 'node:test';
import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';
import { AppError } from '../../../src/domain/errors.ts';
import { parseRepositoryId } from '../../../src/domain/identity.ts';
import type { SealContext } from '../../../src/envelope/context.ts';
import { type EnvelopeKey, noEncryption } from '../../../src/envelope/keys.ts';
import { encryptMessage } from '../../../src/envelope/message.ts';
import { BLOCK_BYTES } from '../../../src/envelope/zstd-params.ts';
import { chunks, context, gather, newKey, openBytes, plaintext, sealBytes } from './support.ts';

let key: EnvelopeKey;
let stored: Buffer;
const original = plaintext(600);

before(async () => {
  key = await newKey();
  ({ stored } = await sealBytes(original, { key }));
});

/** Expects a refusal of the bytes as an AppError; which code is right depends on the byte. */
async function refusal(bytes: Uint8Array, what: string, chunkBytes: number): Promise<AppError> {
  try {
    await openBytes(bytes, { key }, chunkBytes);
  } catch (error) {
    assert.ok(error instanceof AppError, `${what}: ${error}`);
    return error;
  }
  return assert.fail(`${what} went unnoticed`);
}

test('every flipped bit of a message is detected, however it arrives', async () => {
  for (let offset = 0; offset < stored.length; offset++) {
    for (const [bit, chunkBytes] of [
      [1 << (offset % 8), 65_536],
      [0xff, 61],
    ] as const) {
      const bytes = Buffer.from(stored);
      bytes.writeUInt8(bytes.readUInt8(offset) ^ bit, offset);
      const error = await refusal(bytes, `flip at ${offset}`, chunkBytes);
      assert.ok(error.kind === 'corrupt' || error.code === 'WrongKey', `${offset}: ${error.code}`);
    }
  }
});

test('every flipped bit is detected without encryption, by checksum and structure', async () => {
  const sealed = await sealBytes(original, { key: noEncryption() });
  const plain = { key: noEncryption(), plaintextBytes: original.length };
  for (let offset = 0; offset < sealed.stored.length; offset++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = Buffer.from(sealed.stored);
      bytes.writeUInt8(bytes.readUInt8(offset) ^ (1 << bit), offset);
      const opened = openBytes(bytes, {
        ...plain,
        context: { ...context, plaintextSha256: sealed.result.plaintextSha256 },
      });
      // A bit that zstd ignores, and that changes no byte of the plaintext, is caught by the stored digest.
      await opened.then(
        (result) => assert.ok(result.equals(original)),
        (error) => assert.equal(error.kind, 'corrupt', `${offset}.${bit}: ${error}`),
      );
    }
  }
});

test('a message cut at any length is detected', async () => {
  for (let length = 0; length < stored.length; length++) {
    const error = await refusal(stored.subarray(0, length), `cut to ${length}`, 101);
    assert.equal(error.kind, 'corrupt');
  }
  const plain = await sealBytes(original, { key: noEncryption() });
  for (let length = 0; length < plain.stored.length; length++) {
    const cut = openBytes(plain.stored.subarray(0, length), { key: noEncryption() });
    await assert.rejects(cut, { kind: 'corrupt' });
  }
});

test('a message cut between its frames is detected', async () => {
  const big = await sealBytes(randomBytes(2 * BLOCK_BYTES), { key });
  const error = await refusal(big.stored.subarray(0, big.stored.length - BLOCK_BYTES), 'cut', 1 << 20);
  assert.equal(error.code, 'SealTruncated');
});

test('plaintext frames that end early at a frame edge are found by length or digest', async () => {
  const sealed = await sealBytes(plaintext(2 * BLOCK_BYTES), { key: noEncryption() });
  const second = sealed.stored.indexOf(Buffer.from('28b52ffd', 'hex'), 4);
  const cut = openBytes(sealed.stored.subarray(0, second), {
    key: noEncryption(),
    plaintextBytes: 2 * BLOCK_BYTES,
  });
  await assert.rejects(cut, { code: 'PlaintextTooShort' });
});

test('bytes after the end are detected: a byte, a second message, a second compressed frame of another kind', async () => {
  for (const tail of [Buffer.from([0]), stored]) {
    const error = await refusal(Buffer.concat([stored, tail]), 'tail', 65_536);
    assert.equal(error.code, 'SealTrailing');
  }
  const plain = await sealBytes(original, { key: noEncryption() });
  const garbage = Buffer.concat([plain.stored, Buffer.from('xx')]);
  await assert.rejects(openBytes(garbage, { key: noEncryption() }), { kind: 'corrupt' });
});

test('swapped, doubled and missing frames are detected', async () => {
  const big = (await sealBytes(randomBytes(3 * BLOCK_BYTES), { key })).stored;
  const frame = BLOCK_BYTES + 32;
  const body = big.indexOf(Buffer.from('00000001000000000000000000000001', 'hex'));
  assert.ok(body > 0);
  const at = (index: number): Buffer => big.subarray(body + index * frame, body + (index + 1) * frame);
  const [head, first, second, rest] = [big.subarray(0, body), at(0), at(1), big.subarray(body + 2 * frame)];
  for (const pieces of [
    [head, second, first, rest],
    [head, first, first, second, rest],
    [head, second, rest],
  ]) {
    const error = await refusal(Buffer.concat(pieces), 'frames', 1 << 20);
    assert.equal(error.code, 'SealBroken');
  }
});

test('another key is refused as WrongKey, and no message or fact holds a byte of a key', async () => {
  const other = await newKey();
  const error = await openBytes(stored, { key: other }).then(
    () => assert.fail('opened with another key'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AppError);
  assert.deepEqual([error.kind, error.code], ['refused', 'WrongKey']);
});

test('each part of the context is bound', async () => {
  const changes: Partial<SealContext>[] = [
    { repositoryId: parseRepositoryId('11111111-2222-3333-4444-555555555555') },
    { kind: 'backup' },
    { name: 'binlog.000043' },
    { owner: 'ffffffff-71ca-11e1-9e33-c80aa9429562' },
  ];
  for (const change of changes) {
    const opened = openBytes(stored, { key, context: { ...context, ...change } });
    await assert.rejects(opened, { kind: 'corrupt', code: 'WrongContext' });
  }
});

test('a decompression bomb is refused before it is expanded', async () => {
  const params = { [constants.ZSTD_c_checksumFlag]: 1 };
  const options = { key: noEncryption(), maxPlaintextBytes: 1 << 20 };
  const block = zstdCompressSync(Buffer.alloc(BLOCK_BYTES), { params, pledgedSrcSize: BLOCK_BYTES });
  await assert.rejects(openBytes(block, options), { code: 'PlaintextTooLong' });

  // Frames that each are within the bound, together over it.
  const small = zstdCompressSync(Buffer.alloc(1 << 19), { params, pledgedSrcSize: 1 << 19 });
  await assert.rejects(openBytes(Buffer.concat([small, small, small]), options), {
    code: 'PlaintextTooLong',
  });

  // One frame of unknown size: expanded as a stream, stopped at the bound.
  async function* zeros(): AsyncGenerator<Buffer> {
    for (let count = 0; count < 64; count++) yield Buffer.alloc(1 << 20);
  }
  const compressor = createZstdCompress({ params });
  const streamed = gather(compressor);
  for await (const zero of zeros()) compressor.write(zero);
  compressor.end();
  await assert.rejects(openBytes(await streamed, options), { code: 'PlaintextTooLong' });
});

test('a frame that lies about its size is refused', async () => {
  const params = { [constants.ZSTD_c_checksumFlag]: 1 };
  const honest = zstdCompressSync(plaintext(1 << 20), { params, pledgedSrcSize: 1 << 20 });
  // Descriptor, window, then 4 bytes of content size, or the size at once: find the value and change it.
  const size = honest.indexOf(Buffer.from([0, 0, 16, 0]));
  assert.ok(size > 0 && size < 8);
  for (const claim of [1, 1 << 19, (1 << 20) - 1, (1 << 20) + 1, 8 << 20]) {
    const bytes = Buffer.from(honest);
    bytes.writeUInt32LE(claim, size);
    await assert.rejects(openBytes(bytes, { key: noEncryption() }), { kind: 'corrupt' }, `${claim}`);
  }
});

test('what is no sealed object is refused: empty, random, text, frames without a checksum', async () => {
  const bare = zstdCompressSync(original, { params: { [constants.ZSTD_c_checksumFlag]: 0 } });
  for (const bytes of [Buffer.alloc(0), randomBytes(5000), Buffer.from('hello'), bare, Buffer.alloc(4096)]) {
    await assert.rejects(openBytes(bytes, { key: noEncryption() }), { kind: 'corrupt' });
    await assert.rejects(openBytes(bytes, { key }), { kind: 'corrupt' });
  }
});

test('a sealed message whose content is not zstd is refused, not handed out', async () => {
  assert.ok(key.kind === 'raw-aes');
  const message = await gather(encryptMessage(chunks(randomBytes(100), 50), key, context));
  const error = await refusal(message, 'not zstd', 65_536);
  assert.equal(error.code, 'NotSealed');
});
