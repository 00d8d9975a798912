/** Promise: whichever stores fail, and wherever, an object is given whole and each byte once, or not as complete. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { segmentContext } from '../../../src/archiving/seal-context.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { parseBinlogName, parseRepositoryId, parseServerUuid } from '../../../src/domain/identity.ts';
import { type EnvelopeKey, generateKeyFile, noEncryption } from '../../../src/envelope/keys.ts';
import { seal } from '../../../src/envelope/seal.ts';
import {
  type Fallover,
  FalloverReader,
  type OpenIn,
  readSegmentFrom,
} from '../../../src/restoring/fallover.ts';
import { NO_FALLOVERS, withFallover } from '../../../src/restoring/fallover-log.ts';
import type { SegmentHome } from '../../../src/restoring/segment-stream.ts';
import { openDirectoryStore } from '../../../src/storage/directory.ts';
import { type TestFolder, testFolder } from '../../support/folder.ts';
import { Random } from '../domain/random.ts';

const REPOSITORY = '0b1f7c52-2c5e-4a3c-9d0a-9e5d1f3b7a10';
const SERVER = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const KEY = 'mysql/one';
const STORES = ['a', 'b', 'c'] as const;
const OBJECT = { key: KEY, what: 'An object of a test', stores: STORES };

/** How an object lies in a store. */
const STATES = ['whole', 'missing', 'flipped', 'cut', 'away'] as const;
type State = (typeof STATES)[number];

let folder: TestFolder;
let key: EnvelopeKey;
const plaintext = Buffer.concat([Buffer.alloc(3_000_000, 'compressible '), randomBytes(11_000_000)]);
const sha256 = createHash('sha256').update(plaintext).digest('hex');

before(async () => {
  folder = await testFolder('pt-fo');
  key = await generateKeyFile(join(folder.path, 'key'));
});
after(() => folder.remove());

const pathIn = (store: string, object = KEY) => join(folder.path, store, object);

function homes(envelopeKey: EnvelopeKey): SegmentHome[] {
  return STORES.map((id) => ({
    store: openDirectoryStore({ id, directory: join(folder.path, id) }),
    key: envelopeKey,
    repositoryId: REPOSITORY,
  }));
}

async function sealed(envelopeKey: EnvelopeKey, content = plaintext): Promise<Buffer> {
  const log = { serverUuid: parseServerUuid(SERVER), binlog: parseBinlogName('binlog.000001') };
  const context = { ...segmentContext(log, parseRepositoryId(REPOSITORY)), plaintextSha256: null };
  const { output, result } = seal(chunksOf(content, 65_536), { key: envelopeKey, context, level: 1 });
  const chunks: Uint8Array[] = [];
  for await (const chunk of output) chunks.push(chunk);
  await result;
  return Buffer.concat(chunks);
}

async function* chunksOf(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function put(store: string, state: State, object: Buffer, share: number): Promise<void> {
  await rm(join(folder.path, store), { recursive: true, force: true });
  if (state === 'away') return;
  await mkdir(dirname(pathIn(store)), { recursive: true });
  if (state === 'missing') return;
  const altered = Buffer.from(object);
  const at = Math.floor(object.length * share);
  if (state === 'flipped') altered[at] = (altered[at] ?? 0) ^ 4;
  await writeFile(pathIn(store), altered);
  if (state === 'cut') await truncate(pathIn(store), at);
}

async function readAll(reader: FalloverReader): Promise<Buffer> {
  const object = { key: KEY } as never;
  const segment = {
    serverUuid: SERVER,
    binlog: 'binlog.000001',
    lengthBytes: plaintext.length,
    sha256,
    object,
    stores: STORES,
  };
  const chunks: Uint8Array[] = [];
  for await (const chunk of readSegmentFrom(reader, segment)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Whoever reads it knows which object is not whole, and in which stores. */
function assertNamed({ message, hint }: AppError, told: string): void {
  assert.ok(message.startsWith(`Binlog binlog.000001 of ${SERVER} (${KEY}) cannot be read whole`), told);
  for (const store of STORES) assert.ok(message.includes(`In store ${store}: `), `${told}: ${message}`);
  assert.ok(hint?.includes('pitrail verify --deep --store a'), told);
}

describe('reading an object from several stores', () => {
  for (const encryption of ['aws-encryption-sdk', 'none'] as const) {
    it(`gives it whole where any store does, and names each that did not (${encryption})`, async () => {
      const random = new Random(encryption === 'none' ? 41 : 42);
      const envelopeKey = encryption === 'none' ? noEncryption() : key;
      const object = await sealed(envelopeKey);
      const seen = { whole: 0, failed: 0, middle: 0 };
      for (let round = 0; round < 24; round += 1) {
        // The first is known to pass from store to store in the middle of the object.
        const states: State[] =
          round === 0 ? ['flipped', 'cut', 'whole'] : STORES.map(() => random.pick(STATES));
        const shares = round === 0 ? [0.6, 0.9, 0] : STORES.map(() => random.int(100) / 100);
        for (const [index, store] of STORES.entries()) {
          await put(store, states[index] ?? 'whole', object, shares[index] ?? 0);
        }
        const told: Fallover[] = [];
        const reader = new FalloverReader(homes(envelopeKey), async (it) => void told.push(it));
        const good = states.indexOf('whole');
        const message = `round ${round}: ${states.join()} at ${shares.join()}`;
        if (good < 0) {
          await assert.rejects(readAll(reader), (error) => {
            assert.ok(error instanceof AppError, message);
            if (error.kind !== 'unavailable') assertNamed(error, message);
            return true;
          });
          seen.failed += 1;
          continue;
        }
        assert.ok((await readAll(reader)).equals(plaintext), message);
        const bad = STORES.slice(0, good) as readonly string[];
        assert.deepEqual(
          told.map(({ from }) => from),
          bad,
          message,
        );
        // One that failed in its middle had taken over as well.
        assert.ok(
          told.every(({ from, to }) => to > from && to <= (STORES[good] ?? '')),
          message,
        );
        assert.equal(told.at(-1)?.to, good === 0 ? undefined : STORES[good], message);
        seen.whole += 1;
        if (good > 0 && states[0] === 'flipped' && (shares[0] ?? 0) > 0.5) seen.middle += 1;
      }
      assert.ok(seen.whole > 3 && seen.failed > 3 && seen.middle > 0, JSON.stringify(seen));
    });
  }

  it('gives each byte once wherever the stores break off, also twice in one of them', async () => {
    const random = new Random(43);
    const bytes = randomBytes(50_000);
    for (const store of STORES) await put(store, 'whole', bytes, 0);
    for (let round = 0; round < 40; round += 1) {
      const tries = new Map<string, number>();
      const openIn: OpenIn = (home) => {
        const attempt = (tries.get(home.store.id) ?? 0) + 1;
        tries.set(home.store.id, attempt);
        const isLast = home.store.id === 'c' || (home.store.id === 'b' && attempt === 2);
        const kind = home.store.id === 'a' ? 'corrupt' : 'unavailable';
        return isLast ? home.store.read(KEY) : broken(home, random.int(bytes.length), kind);
      };
      const reader = new FalloverReader(homes(key), async () => undefined);
      const given: Uint8Array[] = [];
      for await (const chunk of reader.read(OBJECT, openIn)) given.push(Buffer.from(chunk));
      assert.ok(Buffer.concat(given).equals(bytes), `round ${round}`);
    }
  });

  it('never gives the end of another log under the name, and says what it gave of it is doubtful', async () => {
    const other = Buffer.from(plaintext);
    other[5] = (other[5] ?? 0) ^ 1;
    await put('a', 'whole', await sealed(key, other), 0);
    for (const store of ['b', 'c']) await put(store, 'missing', other, 0);
    const reader = new FalloverReader(homes(key), async () => undefined);
    let given = 0;
    const segment = { serverUuid: SERVER, binlog: 'binlog.000001', lengthBytes: plaintext.length, sha256 };
    const log = { ...segment, object: { key: KEY } as never, stores: STORES };
    const reading = async () => {
      for await (const chunk of readSegmentFrom(reader, log)) given += chunk.length;
    };
    await assert.rejects(reading(), { code: 'PlaintextDiffers' });
    assert.ok(given > 0 && given < plaintext.length, `${given} bytes`);
    assert.deepEqual([...reader.doubtful], [KEY]);

    await put('b', 'whole', await sealed(key), 0);
    const next = new FalloverReader(homes(key), async () => undefined);
    await assert.rejects(readAll(next), { code: 'StoresDiffer' });
    assert.deepEqual(next.differing(KEY)?.wrong, ['a']);
    assert.ok((await readAll(next)).equals(plaintext), 'the other one comes first now');
    assert.deepEqual([...next.doubtful], [KEY], 'what was given before was not');
  });

  it('stops where the next store begins otherwise than what was given already', async () => {
    const bytes = randomBytes(50_000);
    for (const store of STORES) await put(store, store === 'a' ? 'whole' : 'flipped', bytes, 0.2);
    const openIn: OpenIn = (home) =>
      home.store.id === 'a' ? broken(home, 30_000, 'corrupt') : home.store.read(KEY);
    const reader = new FalloverReader(homes(key), async () => undefined);
    let given = 0;
    const reading = async () => {
      for await (const chunk of reader.read(OBJECT, openIn)) given += chunk.length;
    };
    await assert.rejects(reading(), { code: 'StoresDiffer', kind: 'corrupt' });
    assert.equal(given, 30_000);
  });

  it('reads anew, once it is asked to, first where it began otherwise, and tells of the store that failed', async () => {
    const bytes = randomBytes(50_000);
    for (const store of STORES) await put(store, 'whole', bytes, 0);
    const wrong = Buffer.from(bytes);
    wrong[5] = (wrong[5] ?? 0) ^ 1;
    const openIn: OpenIn = async function* (home) {
      if (home.store.id !== 'a') return yield* home.store.read(KEY);
      yield wrong;
      throw new AppError({ code: 'Broken', kind: 'corrupt', message: 'The digest of a is another.' });
    };
    const told: Fallover[] = [];
    const reader = new FalloverReader(homes(key), async (it) => void told.push(it));
    const readOnce = async () => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of reader.read(OBJECT, openIn)) chunks.push(Buffer.from(chunk));
      return Buffer.concat(chunks);
    };
    await assert.rejects(readOnce(), { code: 'StoresDiffer' });
    assert.deepEqual(told, []);
    assert.ok((await readOnce()).equals(bytes));
    assert.deepEqual(
      told.map(({ from, to, reason }) => [from, to, reason]),
      [['a', 'b', 'The digest of a is another.']],
    );
  });

  it('asks a store that is away once more only where the others fail, and says so once', async () => {
    const bytes = randomBytes(1_000);
    for (const store of STORES) await put(store, 'whole', bytes, 0);
    const asked: string[] = [];
    const told: Fallover[] = [];
    const reader = new FalloverReader(homes(key), async (it) => void told.push(it));
    const openIn: OpenIn = (home) => {
      asked.push(home.store.id);
      return home.store.id === 'a' ? broken(home, 0, 'unavailable') : home.store.read(KEY);
    };
    for (let n = 0; n < 3; n += 1) for await (const _ of reader.read(OBJECT, openIn));
    assert.deepEqual(asked, ['a', 'a', 'a', 'b', 'b', 'b']);
    assert.deepEqual(
      told.map(({ from, to }) => [from, to]),
      [['a', 'b']],
    );
  });
});

describe('the report of fallovers', () => {
  it('tells each once, and stays small whatever was lost', () => {
    let report = NO_FALLOVERS;
    for (let n = 0; n < 10_000; n += 1) {
      const fallover = { key: `mysql/${n}`, from: 'a', to: 'b', reason: 'gone' };
      report = withFallover(report, fallover);
      if (n < 200) report = withFallover(report, fallover);
    }
    assert.equal(report.count, 10_000);
    assert.equal(report.first.length, 200);
  });
});

async function* broken(
  { store }: SegmentHome,
  lengthBytes: number,
  kind: 'corrupt' | 'unavailable',
): AsyncGenerator<Uint8Array> {
  if (lengthBytes > 0) yield* store.read(KEY, { offset: 0, lengthBytes });
  throw new AppError({ code: 'Broken', kind, message: `${store.id} broke off after ${lengthBytes} bytes.` });
}
