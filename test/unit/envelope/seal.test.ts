import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { buildDecrypt } from '@aws-crypto/decrypt-node';
import { CommitmentPolicy } from '@aws-crypto/material-management-node';
import { parseSha256 } from '../../../src/domain/identity.ts';
import { type EnvelopeKey, noEncryption } from '../../../src/envelope/keys.ts';
import { type OpenOptions, open } from '../../../src/envelope/open.ts';
import { seal } from '../../../src/envelope/seal.ts';
import { BLOCK_BYTES } from '../../../src/envelope/zstd-params.ts';
import { chunks, context, gather, newKey, openBytes, plaintext, sealBytes } from './support.ts';

const sha256 = (bytes: Uint8Array) => parseSha256(createHash('sha256').update(bytes).digest('hex'));

const SIZES = [
  0,
  1,
  2,
  255,
  256,
  65_792,
  BLOCK_BYTES - 1,
  BLOCK_BYTES,
  BLOCK_BYTES + 1,
  3 * BLOCK_BYTES + 17,
];

test('what was sealed opens to the same bytes, at every size around a frame edge', async () => {
  const keys: EnvelopeKey[] = [await newKey(), noEncryption()];
  for (const key of keys) {
    for (const size of SIZES) {
      const original = plaintext(size);
      const { stored, result } = await sealBytes(original, { key });
      assert.deepEqual(result, {
        plaintextBytes: size,
        plaintextSha256: sha256(original),
        storedBytes: stored.length,
        storedSha256: sha256(stored),
        storedCrc32: crc32(stored).toString(16).padStart(8, '0'),
      });
      const known = { ...context, plaintextSha256: result.plaintextSha256 };
      const opened = await openBytes(stored, { key, context: known, plaintextBytes: size });
      assert.ok(opened.equals(original), `${key.kind} ${size}`);
    }
  }
});

test('incompressible data whose message is longer than one encryption frame survives', async () => {
  const key = await newKey();
  for (const size of [BLOCK_BYTES, 2 * BLOCK_BYTES + 5]) {
    const original = randomBytes(size);
    const { stored } = await sealBytes(original, { key }, BLOCK_BYTES);
    assert.ok(stored.length > size);
    for (const chunkBytes of [1021, 1 << 20, stored.length]) {
      assert.ok((await openBytes(stored, { key }, chunkBytes)).equals(original));
    }
  }
});

test('how the input is cut into chunks does not matter', async () => {
  const key = noEncryption();
  const original = plaintext(2 * BLOCK_BYTES + 12_345);
  for (const chunkBytes of [999, 65_536, 1 << 20, BLOCK_BYTES, BLOCK_BYTES + 1, original.length]) {
    const { stored, result } = await sealBytes(original, { key }, chunkBytes);
    assert.equal(result.plaintextSha256, sha256(original));
    assert.ok((await openBytes(stored, { key })).equals(original), `chunks of ${chunkBytes}`);
  }
});

test('a long window finds what independent frames cannot, and opens', async () => {
  const key = await newKey();
  const half = randomBytes(6 << 20);
  const original = Buffer.concat([half, half]);
  const framed = await sealBytes(original, { key });
  const long = await sealBytes(original, { key, longWindowLog: 24 });
  assert.ok(long.stored.length < framed.stored.length * 0.6);
  const opened = await openBytes(long.stored, { key, plaintextBytes: original.length });
  assert.ok(opened.equals(original));
});

test('higher levels make smaller objects; a level out of range is refused', async () => {
  const original = plaintext(1 << 20);
  const fast = await sealBytes(original, { key: noEncryption(), level: 1 });
  const small = await sealBytes(original, { key: noEncryption(), level: 19 });
  assert.ok(small.stored.length <= fast.stored.length);
  for (const level of [0, 20, 2.5, Number.NaN]) {
    await assert.rejects(sealBytes(original, { key: noEncryption(), level }), { kind: 'config' });
  }
  await assert.rejects(sealBytes(original, { key: noEncryption(), longWindowLog: 31 }), { kind: 'config' });
});

test("the AWS Encryption SDK's own client opens the message, with the context in it", async () => {
  const key = await newKey();
  assert.ok(key.kind === 'raw-aes');
  const original = plaintext(BLOCK_BYTES + 3);
  const { stored } = await sealBytes(original, { key });
  const { decrypt } = buildDecrypt(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const { plaintext: compressed, messageHeader } = await decrypt(key.keyring, stored);
  assert.ok((await openBytes(compressed, { key: noEncryption() })).equals(original));
  assert.deepEqual(
    { ...messageHeader.encryptionContext },
    {
      'pitrail:format': '1',
      'pitrail:repository': context.repositoryId,
      'pitrail:kind': 'segment',
      'pitrail:name': 'binlog.000042',
      'pitrail:owner': context.owner,
    },
  );
});

test('onPlaintext sees every byte in order, and what it throws ends the sealing and closes the input', async () => {
  const original = plaintext(BLOCK_BYTES * 2);
  const seen: Uint8Array[] = [];
  await sealBytes(original, { key: noEncryption(), onPlaintext: (chunk) => seen.push(chunk) });
  assert.ok(Buffer.concat(seen).equals(original));

  let closed = false;
  async function* input(): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks(original, 1000);
    } finally {
      closed = true;
    }
  }
  const refusal = new Error('event 7 is broken');
  let calls = 0;
  const sealed = seal(input(), {
    key: await newKey(),
    context,
    level: 3,
    onPlaintext: () => {
      calls += 1;
      if (calls === 100) throw refusal;
    },
  });
  await assert.rejects(gather(sealed.output), refusal);
  await assert.rejects(sealed.result, refusal);
  assert.ok(closed);
});

test('an abandoned output closes the input and rejects the result', async () => {
  for (const key of [await newKey(), noEncryption()]) {
    let closed = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield randomBytes(1 << 20);
      } finally {
        closed = true;
      }
    }
    const sealed = seal(endless(), { key, context, level: 1 });
    for await (const chunk of sealed.output) if (chunk.length > 0) break;
    await assert.rejects(sealed.result, { code: 'SealAbandoned' });
    // Node's pipeline closes its source on a later turn of the loop.
    for (let turn = 0; turn < 100 && !closed; turn++) await new Promise(setImmediate);
    assert.ok(closed, key.kind);
  }
});

test('an aborted signal ends sealing and opening with its reason', async () => {
  const key = await newKey();
  const original = plaintext(BLOCK_BYTES * 4);
  const { stored } = await sealBytes(original, { key });
  const reason = new Error('cancelled by the operator');
  const controller = new AbortController();
  const aborting = async function* (bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    let count = 0;
    for await (const chunk of chunks(bytes, 1 << 18)) {
      count += 1;
      if (count === 5) controller.abort(reason);
      yield chunk;
    }
  };
  const options = { key, context, level: 3, signal: controller.signal };
  await assert.rejects(gather(seal(aborting(original), options).output), reason);
  await assert.rejects(gather(open(chunks(stored, 1 << 20), options)), reason);
});

test('errors of the input come out unchanged, from both ways', async () => {
  const key = await newKey();
  const { stored } = await sealBytes(plaintext(BLOCK_BYTES), { key });
  const gone = new Error('the store is gone');
  async function* failing(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, bytes.length / 2);
    throw gone;
  }
  await assert.rejects(gather(seal(failing(stored), { key, context, level: 3 }).output), gone);
  await assert.rejects(gather(open(failing(stored), { key, context })), gone);
});

test('a plaintext other than the digest in the context is not sealed', async () => {
  const original = plaintext(1000);
  const right = { ...context, plaintextSha256: sha256(original) };
  const wrong = { ...context, plaintextSha256: sha256(Buffer.from('other')) };
  const key = await newKey();
  const { stored } = await sealBytes(original, { key, context: right });
  await assert.rejects(sealBytes(original, { key, context: wrong }), { code: 'PlaintextDiffers' });
  // Bound in the head: known to a reader that does not know it, and wrong for one that knows another.
  assert.ok((await openBytes(stored, { key })).equals(original));
  await assert.rejects(openBytes(stored, { key, context: wrong }), { code: 'WrongContext' });
});

test('a reader that knows the digest or the length better than the message says so', async () => {
  const original = plaintext(5000);
  for (const key of [await newKey(), noEncryption()]) {
    const { stored } = await sealBytes(original, { key });
    const other = { ...context, plaintextSha256: sha256(Buffer.from('other')) };
    const refused: [Partial<OpenOptions>, string][] = [
      [{ context: other }, 'PlaintextDiffers'],
      [{ plaintextBytes: 4999 }, 'PlaintextTooLong'],
      [{ plaintextBytes: 5001 }, 'PlaintextTooShort'],
      [{ maxPlaintextBytes: 4999 }, 'PlaintextTooLong'],
    ];
    for (const [options, code] of refused) {
      await assert.rejects(openBytes(stored, { key, ...options }), { kind: 'corrupt', code });
    }
  }
});
