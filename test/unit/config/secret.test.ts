import { strict as assert } from 'node:assert';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { readSecret } from '../../../src/config/secret.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { canarySecret } from '../../support/canary.ts';
import { testFolder } from '../../support/folder.ts';

const folder = await testFolder();
after(() => folder.remove());

function fails(code: string, kind: string) {
  return (error: unknown) => error instanceof AppError && error.code === code && error.kind === kind;
}

test('a secret is read from a file that only its owner may read, without the line feed at its end', async () => {
  const file = join(folder.path, 'good');
  const secret = canarySecret();
  await writeFile(file, `${secret}\n`, { mode: 0o600 });
  assert.equal((await readSecret({ file })).reveal(), secret);
  await chmod(file, 0o400);
  assert.equal((await readSecret({ file })).reveal(), secret);
});

test('a secret file that others may read is refused', async () => {
  const file = join(folder.path, 'open');
  await writeFile(file, canarySecret());
  for (const mode of [0o640, 0o604, 0o610, 0o644]) {
    await chmod(file, mode);
    await assert.rejects(readSecret({ file }), fails('SecretFileExposed', 'refused'));
  }
});

test('a secret that is absent, empty or no file is a configuration error', async () => {
  const empty = join(folder.path, 'empty');
  await writeFile(empty, '\n', { mode: 0o600 });
  const inside = join(folder.path, 'folder');
  await mkdir(inside);
  await assert.rejects(readSecret({ file: empty }), fails('SecretMissing', 'config'));
  await assert.rejects(readSecret({ file: inside }), fails('SecretUnreadable', 'config'));
  await assert.rejects(readSecret({ file: join(folder.path, 'none') }), fails('SecretUnreadable', 'config'));
  await assert.rejects(readSecret({ env: 'PITRAIL_NO_SUCH' }, {}), fails('SecretMissing', 'config'));
  assert.equal((await readSecret({ env: 'A' }, { A: 'b' })).reveal(), 'b');
});

test('no log, JSON or inspection shows a secret', async () => {
  const secret = await readSecret({ env: 'S' }, { S: 'hunter2-canary' });
  const to = new PassThrough();
  createLogger({ level: 'info', form: 'json', to }).info(
    { secret, deep: { password: 'hunter2-canary' }, password: 'hunter2-canary' },
    `connecting with ${secret}`,
  );
  const written = String(to.read());
  assert.match(written, /connecting with \[secret\]/);
  for (const text of [
    written,
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ secret }, { showHidden: true }),
    `${secret}`,
  ]) {
    assert(!text.includes('hunter2'), text);
  }
});
