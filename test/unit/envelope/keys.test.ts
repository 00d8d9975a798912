import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';
import { AppError } from '../../../src/domain/errors.ts';
import { generateKeyFile, loadKeyFile } from '../../../src/envelope/keys.ts';
import { openBytes, plaintext, sealBytes } from './support.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pitrail-keys-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function keyFile(content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(folder, `key-${randomBytes(4).toString('hex')}`);
  await writeFile(path, content, { mode: 0o600 });
  await chmod(path, mode);
  return path;
}

async function errorOf(attempt: () => Promise<unknown>): Promise<unknown> {
  try {
    await attempt();
  } catch (error) {
    return error;
  }
  return assert.fail('accepted');
}

test('one key in three spellings is one key', async () => {
  const bytes = randomBytes(32);
  const spellings = [
    bytes,
    bytes.toString('hex'),
    `${bytes.toString('base64')}\n`,
    `  ${bytes.toString('hex')}\n`,
  ];
  const keys = await Promise.all(spellings.map(async (text) => loadKeyFile(await keyFile(text))));
  const original = plaintext(100);
  const [first] = keys;
  assert.ok(first !== undefined);
  const { stored } = await sealBytes(original, { key: first });
  for (const key of keys) assert.ok((await openBytes(stored, { key })).equals(original));
});

test('modes wider than 0600 are refused by name; stricter ones are fine', async () => {
  const hex = randomBytes(32).toString('hex');
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o700, 0o777]) {
    const path = await keyFile(hex, mode);
    await assert.rejects(loadKeyFile(path), (error: AppError) => {
      assert.deepEqual([error.code, error.kind], ['KeyFileExposed', 'refused']);
      assert.ok(error.message.includes(path) && error.message.includes(mode.toString(8)));
      return true;
    });
  }
  for (const mode of [0o600, 0o400]) await loadKeyFile(await keyFile(hex, mode));
});

test('a symbolic link is judged by the file behind it', async () => {
  const hex = randomBytes(32).toString('hex');
  const [good, bad] = [join(folder, 'good'), join(folder, 'bad')];
  await symlink(await keyFile(hex), good);
  await symlink(await keyFile(hex, 0o644), bad);
  await loadKeyFile(good);
  await assert.rejects(loadKeyFile(bad), { code: 'KeyFileExposed' });
});

test("another user's file is refused", async () => {
  const root = process.geteuid?.() === 0;
  // Without root no file can be given away, but some are root's.
  const path = root ? await keyFile(randomBytes(32)) : '/etc/passwd';
  if (root) await chown(path, 65_534, 65_534);
  await assert.rejects(loadKeyFile(path), { code: 'KeyFileExposed', message: /belongs to user/ });
});

test('folders, missing files and wrong contents are refused', async () => {
  await assert.rejects(loadKeyFile(folder), { code: 'KeyFileExposed' });
  await assert.rejects(loadKeyFile(join(folder, 'none')), { code: 'KeyFileMissing', kind: 'config' });
  for (const content of [
    '',
    'secret',
    randomBytes(31),
    randomBytes(33),
    'a'.repeat(63),
    'g'.repeat(64),
    randomBytes(5000),
  ]) {
    const path = await keyFile(content);
    await assert.rejects(loadKeyFile(path), { code: 'KeyFileMalformed', kind: 'config' });
  }
});

test('a new key file is 0600, whatever the umask, and is never written over', async () => {
  const path = join(folder, 'new');
  const umask = process.umask(0);
  try {
    const key = await generateKeyFile(path);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const { stored } = await sealBytes(plaintext(10), { key });
    assert.equal((await openBytes(stored, { key: await loadKeyFile(path) })).length, 10);
  } finally {
    process.umask(umask);
  }
  const before = await readFile(path, 'utf8');
  await assert.rejects(generateKeyFile(path), { code: 'KeyFileExists', kind: 'refused' });
  assert.equal(await readFile(path, 'utf8'), before);
  await assert.rejects(generateKeyFile(join(folder, 'no', 'such')), { code: 'KeyFileUnwritable' });
});

test('no byte of a key shows in inspection, JSON, a sealed object or an error', async () => {
  const canary = randomBytes(32);
  const path = await keyFile(canary);
  const key = await loadKeyFile(path);
  const other = await loadKeyFile(await keyFile(randomBytes(32)));
  const { stored } = await sealBytes(plaintext(1000), { key });
  const broken = Buffer.from(stored);
  broken.writeUInt8(broken.readUInt8(stored.length - 1) ^ 1, stored.length - 1);
  const wrapped = Buffer.from(stored);
  wrapped.writeUInt8(0, 250);
  const doubled = await keyFile(Buffer.concat([canary, canary]));
  const exposed = await keyFile(canary.toString('hex'), 0o644);
  const attempts = [
    () => openBytes(stored, { key: other }),
    () => openBytes(broken, { key }),
    () => openBytes(wrapped, { key }),
    () => loadKeyFile(doubled),
    () => loadKeyFile(exposed),
  ];
  const errors = await Promise.all(attempts.map(errorOf));
  const shown = [key, ...errors].flatMap((value) => [
    inspect(value, { depth: 12, showHidden: true }),
    JSON.stringify(value),
    value instanceof AppError
      ? `${value.message} ${value.hint} ${JSON.stringify(value.facts)} ${value.stack}`
      : '',
  ]);
  const text = shown.join('\n').toLowerCase();
  const bytesAsInspected = [...canary.subarray(0, 8)].join(', ');
  const hexAsInspected = canary.subarray(0, 8).toString('hex').replace(/../g, '$& ').trim();
  for (const trace of [
    canary.toString('hex'),
    canary.toString('base64').toLowerCase(),
    bytesAsInspected,
    hexAsInspected,
  ]) {
    assert.ok(!text.includes(trace), 'a key shows');
  }
  assert.equal(stored.indexOf(canary), -1);
});
