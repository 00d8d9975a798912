import { strict as assert } from 'node:assert';
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { appendAudit, type RestoreAudit, readAudit } from '../../../src/telemetry/audit.ts';
import { testFolder } from '../../support/folder.ts';

const folder = await testFolder();
after(() => folder.remove());

const AT = '2026-11-20T10:32:05.123456Z';

function event(requestId: string): RestoreAudit {
  return {
    action: 'restore',
    outcome: 'handed-over',
    requestId,
    cluster: 'shop',
    repositoryId: null,
    store: 'main',
    target: 'latest',
    backupId: null,
    expectedGtids: null,
    gtidExecuted: null,
    skippedGtids: '',
    dataDir: '/srv/restored',
    detail: 'done',
  };
}

test('lines appended at once are all kept, in one chain, in a file that is the owner’s alone', async () => {
  const file = join(folder.path, 'a', 'audit.jsonl');
  await Promise.all(Array.from({ length: 12 }, (_, index) => appendAudit(file, event(`r-${index}`), AT)));
  const lines = await readAudit(file);
  assert.deepEqual(
    lines.map(({ sequence }) => sequence),
    Array.from({ length: 12 }, (_, index) => index + 1),
  );
  assert.equal(new Set(lines.map((line) => line.event.requestId)).size, 12);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
});

test('an edited, removed or cut line is found by its number', async () => {
  const file = join(folder.path, 'audit.jsonl');
  for (const id of ['r-1', 'r-2', 'r-3']) await appendAudit(file, event(id), AT);
  const good = await readFile(file, 'utf8');
  const rows = good.split(/(?<=\n)/);
  const changes: readonly (readonly [string, number])[] = [
    [good.replace('"requestId":"r-2"', '"requestId":"r-9"'), 3],
    [(rows[0] ?? '') + (rows[2] ?? ''), 2],
    [good.slice(0, -10), 3],
    [`${good}nonsense\n`, 4],
  ];
  for (const [text, line] of changes) {
    await writeFile(file, text);
    await assert.rejects(
      readAudit(file),
      (error: { code?: string; facts?: { line?: number } }) =>
        error.code === 'AuditBroken' && error.facts?.line === line,
    );
    await assert.rejects(appendAudit(file, event('r-4'), AT), { code: 'AuditBroken', kind: 'corrupt' });
  }
});

test('a lock left by a process that has ended does not stop the next one', async () => {
  const file = join(folder.path, 'locked.jsonl');
  // Process ids end at 2^22 on Linux.
  await appendFile(`${file}.lock`, '4194305');
  await appendAudit(file, event('r-1'), AT);
  assert.equal((await readAudit(file)).length, 1);
});
