import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type BackupId, parseRepositoryId } from '../../src/domain/identity.ts';
import type { StoredObject } from '../../src/domain/segment.ts';
import type { SealContext } from '../../src/envelope/context.ts';
import { noEncryption } from '../../src/envelope/keys.ts';
import { seal } from '../../src/envelope/seal.ts';
import type { Checksum } from '../../src/storage/checksum.ts';
import { createOrCompare } from '../../src/storage/create-once.ts';
import type { CreateOutcome, ObjectStore } from '../../src/storage/object-store.ts';
import { PROBE_KEY, probeStore } from '../../src/storage/probe.ts';
import { verifyStored } from '../../src/storage/read-back.ts';
import { PART_BYTES } from '../../src/storage/s3/parts.ts';
import { bodyOf, crcOf, gather, keysUnder, sha256 } from './store-bodies.ts';

/** A real store under test, and the test's own way to what lies in it. */
export interface StoreHarness {
  /** A new handle on the same store; the suite closes it. */
  open(): ObjectStore;
  /** File in which the bytes of an object lie. */
  fileOf(key: string): string;
  /** What the store keeps of an object of these bytes. */
  checksumOf(bytes: Uint8Array): Checksum;
  /** Names of whatever uploads left behind that are no objects. */
  leftovers(): Promise<readonly string[]>;
  /** Takes the store away. */
  vanish(): Promise<void>;
  /** Brings it back as it was. */
  comeBack(): Promise<void>;
  stop(): Promise<void>;
}

const MIB = 1024 * 1024;

function createdAs(bytes: Uint8Array): CreateOutcome {
  return { status: 'created', lengthBytes: bytes.length, sha256: sha256(bytes), crc32: crcOf(bytes) };
}

/** The promises of `ObjectStore`, each tried on a real store. */
export function storeConformance(name: string, start: () => Promise<StoreHarness>): void {
  describe(`store conformance: ${name}`, () => {
    let harness: StoreHarness;
    let store: ObjectStore;

    before(async () => {
      harness = await start();
      store = harness.open();
    });

    after(async () => {
      await store.close();
      await harness.stop();
    });

    const put = (key: string, bytes: Uint8Array) => store.create(key, bodyOf(bytes));

    test('a store without objects lists nothing and has no heads', async () => {
      assert.deepEqual(await keysUnder(store, ''), []);
      assert.equal(await store.head('mysql/none'), undefined);
      await assert.rejects(gather(store.read('mysql/none')), { kind: 'refused', code: 'ObjectMissing' });
      await assert.rejects(gather(store.read('mysql/none', { lengthBytes: 0 })), { code: 'ObjectMissing' });
    });

    test('what was created is read back, from nothing to several parts', async () => {
      const sizes = [
        0,
        1,
        70_000,
        PART_BYTES - 1,
        PART_BYTES,
        PART_BYTES + 1,
        2 * PART_BYTES,
        5 * PART_BYTES + 3,
      ];
      for (const size of sizes) {
        const bytes = randomBytes(size);
        const acknowledged: number[] = [];
        const onProgress = (done: number): void => {
          acknowledged.push(done);
        };
        const outcome = await store.create(`sizes/${size}`, bodyOf(bytes), { onProgress });
        assert.deepEqual(outcome, createdAs(bytes), `${size}`);
        assert.ok((await gather(store.read(`sizes/${size}`))).equals(bytes), `${size}`);
        assert.equal((await store.head(`sizes/${size}`))?.lengthBytes, size);
        assert.deepEqual(
          acknowledged,
          [...acknowledged].sort((a, b) => a - b),
        );
        if (size > 0) assert.equal(acknowledged.at(-1), size);
      }
    });

    test('an announced length is kept to: right ones store, wrong ones leave nothing', async () => {
      for (const size of [0, 10, PART_BYTES, PART_BYTES + 10]) {
        const bytes = randomBytes(size);
        const right = await store.create(`announced/${size}`, bodyOf(bytes), { lengthBytes: size });
        assert.equal(right.status, 'created');
        for (const lengthBytes of [size + 1, size + PART_BYTES, Math.max(0, size - 1)]) {
          if (lengthBytes === size) continue;
          const wrong = store.create(`announced/wrong-${size}-${lengthBytes}`, bodyOf(bytes), {
            lengthBytes,
          });
          await assert.rejects(wrong, { kind: 'corrupt', code: 'BodyLengthDiffers' });
        }
      }
      const keys = await keysUnder(store, 'announced/');
      assert.ok(keys.every((key) => !key.includes('wrong')));
      assert.deepEqual(await harness.leftovers(), []);
    });

    test('every range is what a slice of the object is', async () => {
      const bytes = randomBytes(3 * MIB + 7);
      await put('ranges/object', bytes);
      const ranges: [number, number | undefined][] = [
        [0, 1],
        [0, 0],
        [5, undefined],
        [MIB, MIB],
        [bytes.length - 1, 1],
        [bytes.length - 1, 100],
        [bytes.length - 1, undefined],
        [bytes.length, undefined],
        [bytes.length, 10],
        [bytes.length + 1000, 10],
        [0, bytes.length],
        [0, bytes.length * 2],
      ];
      for (const [offset, lengthBytes] of ranges) {
        const found = await gather(
          store.read('ranges/object', lengthBytes === undefined ? { offset } : { offset, lengthBytes }),
        );
        const expected = bytes.subarray(offset, lengthBytes === undefined ? undefined : offset + lengthBytes);
        assert.ok(found.equals(expected), `${offset}+${lengthBytes}: ${found.length}`);
      }
      await assert.rejects(gather(store.read('ranges/object', { offset: -1 })), { kind: 'bug' });
    });

    test('reading may end early, again and again', async () => {
      await put('early/object', randomBytes(6 * MIB));
      for (let round = 0; round < 100; round++) {
        for await (const chunk of store.read('early/object')) {
          assert.ok(chunk.length > 0);
          break;
        }
      }
    });

    test('nothing is overwritten: a second create says exists, in one request and in parts', async () => {
      const original = randomBytes(1000);
      await put('once/object', original);
      for (const size of [0, 1000, PART_BYTES + 1]) {
        assert.deepEqual(await put('once/object', randomBytes(size)), { status: 'exists' });
        assert.ok((await gather(store.read('once/object'))).equals(original));
      }
      const inParts = await store.create('once/object', bodyOf(original), { transfer: 'parts' });
      assert.deepEqual(inParts, { status: 'exists' });
      assert.deepEqual(await harness.leftovers(), []);
    });

    for (const size of [5000, PART_BYTES + 5000]) {
      test(`of 20 racing writers of ${size} bytes one wins, and the object is whole`, async () => {
        const key = `race/${size}`;
        const others = Array.from({ length: 4 }, () => harness.open());
        const bodies = Array.from({ length: 20 }, () => randomBytes(size));
        const outcomes = await Promise.all(
          bodies.map((bytes, index) => (others[index % 4] ?? store).create(key, bodyOf(bytes))),
        );
        const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'created' ? [index] : []));
        assert.equal(winners.length, 1);
        const stored = await gather(store.read(key));
        assert.ok(stored.equals(bodies[winners[0] ?? -1] ?? Buffer.alloc(0)));
        assert.deepEqual(await harness.leftovers(), []);
        await Promise.all(others.map((other) => other.close()));
      });
    }

    test('a body that fails leaves nothing: no key, no part, no file', async () => {
      const failure = new Error('the source went away');
      for (const [index, good] of [0, 1000, PART_BYTES + 1000, 6 * PART_BYTES].entries()) {
        let closed = false;
        async function* failing(): AsyncGenerator<Uint8Array> {
          try {
            yield* bodyOf(randomBytes(good));
            throw failure;
          } finally {
            closed = true;
          }
        }
        await assert.rejects(store.create(`failed/${index}`, failing()), failure);
        assert.ok(closed);
      }
      assert.deepEqual(await keysUnder(store, 'failed/'), []);
      assert.deepEqual(await harness.leftovers(), []);
    });

    test('a cancelled create throws the reason and leaves nothing; a cancelled read too', async () => {
      const reason = new Error('cancelled');
      for (const size of [1000, 4 * PART_BYTES]) {
        const controller = new AbortController();
        async function* body(): AsyncGenerator<Uint8Array> {
          for await (const chunk of bodyOf(randomBytes(size), size / 4)) {
            yield chunk;
            controller.abort(reason);
          }
        }
        const { signal } = controller;
        await assert.rejects(store.create(`cancelled/${size}`, body(), { signal }), reason);
      }
      assert.deepEqual(await keysUnder(store, 'cancelled/'), []);
      assert.deepEqual(await harness.leftovers(), []);

      await put('cancelled-read/object', randomBytes(4 * MIB));
      const controller = new AbortController();
      const reading = async () => {
        for await (const chunk of store.read('cancelled-read/object', { signal: controller.signal })) {
          if (chunk.length > 0) controller.abort(reason);
        }
      };
      await assert.rejects(reading(), reason);
    });

    test('metadata comes back as it was given; what a store would change is refused', async () => {
      const metadata = {
        server_uuid: '3e11fa47-71ca-11e1-9e33-c80aa9429562',
        gtid_set: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:8,ffffffff-71ca-11e1-9e33-c80aa9429562:tag:1',
        'first-commit': '2026-11-20T10:32:05.123456Z',
        note: 'a b  c "quoted" <xml> & %41',
      };
      for (const size of [10, PART_BYTES + 1]) {
        const bytes = randomBytes(size);
        await store.create(`metadata/${size}`, bodyOf(bytes), { metadata });
        const info = await store.head(`metadata/${size}`);
        assert.deepEqual(
          { ...info, metadata: { ...info?.metadata } },
          {
            key: `metadata/${size}`,
            lengthBytes: size,
            metadata,
            checksum: harness.checksumOf(bytes),
          },
        );
      }
      for (const unfit of [
        { name: 'Zürich' },
        { Upper: 'a' },
        { 'a b': 'c' },
        { a: ' b' },
        { a: 'x\ny' },
        { a: 'x'.repeat(2048) },
      ]) {
        const attempt = store.create('metadata/unfit', bodyOf(randomBytes(1)), {
          metadata: { ...unfit } as Record<string, string>,
        });
        await assert.rejects(attempt, { kind: 'refused', code: 'MetadataUnfit' });
      }
      assert.equal(await store.head('metadata/unfit'), undefined);
    });

    test('strange keys are stored as they are, or refused', async () => {
      const fine = [
        'a',
        'a=b+c@d',
        '.hidden/..x',
        'x/...000001',
        `long/${'n'.repeat(232)}`,
        'a.b/c',
        'case/a',
        'case/A',
      ];
      for (const key of fine) {
        assert.equal((await put(key, Buffer.from(key))).status, 'created', key);
        assert.equal((await gather(store.read(key))).toString(), key);
      }
      const bad = [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '..',
        '../x',
        'a/../b',
        './a',
        'a/.',
        '.pitrail/tmp/x',
        'a b',
        'a\\b',
        'ä',
        'a\0b',
        'a\nb',
        'a?b',
        'a%2fb',
        'x'.repeat(801),
        `${'y'.repeat(256)}`,
      ];
      for (const key of bad) {
        await assert.rejects(put(key, Buffer.from('x')), { code: 'UnsafeKey' }, JSON.stringify(key));
        await assert.rejects(gather(store.read(key)), { code: 'UnsafeKey' });
        await assert.rejects(store.head(key), { code: 'UnsafeKey' });
      }
      for (const prefix of ['../', '/', 'a//', 'a/../', 'a b']) {
        await assert.rejects(keysUnder(store, prefix), { code: 'UnsafeKey' });
      }
    });

    test('a listing is whole beyond a thousand keys, and keeps to its prefix', async () => {
      const names = Array.from({ length: 1105 }, (_, index) => `many/${String(index).padStart(5, '0')}.json`);
      for (let from = 0; from < names.length; from += 16) {
        await Promise.all(names.slice(from, from + 16).map((key) => put(key, Buffer.from(key))));
      }
      await put('many-more/one', Buffer.from('x'));
      assert.deepEqual((await keysUnder(store, 'many/')).sort(), names);
      assert.deepEqual((await keysUnder(store, 'many/0110')).sort(), names.slice(1100));
      assert.deepEqual(await keysUnder(store, 'many-'), ['many-more/one']);
      assert.deepEqual(await keysUnder(store, 'many/none/'), []);
      const listed = [];
      for await (const object of store.list('many/00000')) listed.push(object);
      assert.deepEqual(listed, [{ key: 'many/00000.json', lengthBytes: 15 }]);
    });

    test('the probe accepts this store, twice, and leaves one small object', async () => {
      const first = await probeStore(store);
      assert.equal(first.first, 'created');
      assert.ok(first.keepsChecksum);
      assert.equal((await probeStore(store)).first, 'exists');
      assert.deepEqual(await keysUnder(store, 'probe/'), [PROBE_KEY]);
      assert.deepEqual(await harness.leftovers(), []);
    });

    test('the same content again is success, other content a conflict', async () => {
      const bytes = randomBytes(5000);
      const expected = { kind: 'bytes', sha256: sha256(bytes) } as const;
      const facts = { lengthBytes: 5000, sha256: sha256(bytes), crc32: crcOf(bytes) };
      const first = await createOrCompare(store, 'compare/object', () => bodyOf(bytes), expected);
      assert.deepEqual(first, { status: 'created', ...facts });
      const second = await createOrCompare(store, 'compare/object', () => bodyOf(bytes), expected);
      assert.deepEqual(second, { status: 'same', ...facts });
      const other = randomBytes(5000);
      const third = createOrCompare(store, 'compare/object', () => bodyOf(other), {
        kind: 'bytes',
        sha256: sha256(other),
      });
      await assert.rejects(third, { kind: 'conflict', code: 'OtherContent' });
      assert.ok((await gather(store.read('compare/object'))).equals(bytes));
    });

    describe('read-back', () => {
      const key = noEncryption();
      const plaintext = Buffer.concat([randomBytes(3 * MIB), Buffer.alloc(6 * MIB, 'binlog')]);
      const context: SealContext = {
        repositoryId: parseRepositoryId('0b9c6f0e-3f2e-4a57-9a52-0f6f3d5c7a11'),
        kind: 'backup',
        name: 'clone',
        owner: '20261120T103205Z-1a2b3c4d' as BackupId,
        plaintextSha256: null,
      };
      const expected = { plaintextSha256: sha256(plaintext), lengthBytes: plaintext.length };

      async function stored(objectKey: string): Promise<StoredObject> {
        const sealed = seal(bodyOf(plaintext), { key, context, level: 3 });
        assert.equal((await store.create(objectKey, sealed.output)).status, 'created');
        const { storedBytes, storedSha256, storedCrc32 } = await sealed.result;
        return {
          key: objectKey,
          lengthBytes: storedBytes,
          sha256: storedSha256,
          crc32: storedCrc32,
          compression: 'zstd',
          encryption: 'none',
        };
      }

      test('a sealed object is proven whole', async () => {
        const object = await stored('sealed/good');
        let read = 0;
        await verifyStored(store, object, key, context, expected, {
          onProgress: (bytes) => {
            read = bytes;
          },
        });
        assert.equal(read, object.lengthBytes);
        const again = () => seal(bodyOf(plaintext), { key, context, level: 9 }).output;
        const same = { kind: 'sealed', key, context, plaintext: expected } as const;
        assert.equal((await createOrCompare(store, object.key, again, same)).sha256, object.sha256);
        const other = { ...same, plaintext: { ...expected, plaintextSha256: sha256(Buffer.from('other')) } };
        await assert.rejects(createOrCompare(store, object.key, again, other), { code: 'OtherContent' });
      });

      test('a byte that flipped in the store is noticed, wherever it is', async () => {
        const object = await stored('sealed/flipped');
        const file = harness.fileOf(object.key);
        const bytes = await readFile(file);
        for (const offset of [0, 4, 1000, Math.floor(bytes.length / 2), bytes.length - 1]) {
          const flipped = Buffer.from(bytes);
          flipped.writeUInt8(flipped.readUInt8(offset) ^ 0x10, offset);
          await writeFile(file, flipped);
          await assert.rejects(
            verifyStored(store, object, key, context, expected),
            { kind: 'corrupt' },
            `${offset}`,
          );
        }
        for (const other of [
          bytes.subarray(0, bytes.length - 1),
          Buffer.concat([bytes, Buffer.from('x')]),
          Buffer.alloc(0),
        ]) {
          await writeFile(file, other);
          await assert.rejects(verifyStored(store, object, key, context, expected), { kind: 'corrupt' });
        }
      });

      test('an object that opens, but is not the one that was stored, is noticed', async () => {
        const object = await stored('sealed/other');
        const again = seal(bodyOf(plaintext), { key, context, level: 1 });
        await writeFile(harness.fileOf(object.key), await gather(again.output));
        await assert.rejects(verifyStored(store, object, key, context, expected), {
          kind: 'corrupt',
          code: 'StoredDiffers',
        });
      });
    });

    test('a store that went away is unavailable, to every method; back again, it works', async () => {
      await put('gone/object', Buffer.from('still here'));
      await harness.vanish();
      try {
        const attempts = [
          () => put('gone/new', Buffer.from('x')),
          () => put('gone/new', randomBytes(PART_BYTES + 1)),
          () => gather(store.read('gone/object')),
          () => store.head('gone/object'),
          () => keysUnder(store, 'gone/'),
          () => probeStore(store),
        ];
        for (const attempt of attempts) await assert.rejects(attempt(), { kind: 'unavailable' });
      } finally {
        await harness.comeBack();
      }
      assert.equal((await gather(store.read('gone/object'))).toString(), 'still here');
      assert.deepEqual(await keysUnder(store, 'gone/'), ['gone/object']);
    });
  });
}
