import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { AppError } from '../../../src/domain/errors.ts';
import { appendAudit, appendAuditOnce, readAudit, verifyAudit } from '../../../src/telemetry/audit.ts';
import type { AuditLine } from '../../../src/telemetry/audit-line.ts';
import { traceOfRun, withTrace } from '../../../src/telemetry/trace.ts';
import { testFolder } from '../../support/folder.ts';
import { refusal } from './audit-samples.ts';

const folder = await testFolder();
after(() => folder.remove());

const AT = '2026-11-20T10:32:05.123456Z';
const CHILD = fileURLToPath(new URL('./audit-child.ts', import.meta.url));

const binlogs = (lines: readonly AuditLine[]) =>
  lines.map(({ event }) => (event.action === 'refusal' ? event.binlog : event.action));

/** Only for text: computes the chain again, from the bytes and nothing else. */
function assertChain(text: string): void {
  let previous: string | null = null;
  for (const [index, raw] of text.split(/(?<=\n)/).entries()) {
    const line = JSON.parse(raw) as { sequence: number; previous: string | null };
    assert.deepEqual([line.sequence, line.previous], [index + 1, previous]);
    previous = createHash('sha256').update(raw).digest('hex');
  }
}

async function written(name: string, count: number): Promise<{ file: string; text: string; rows: string[] }> {
  const file = join(folder.path, name);
  for (let index = 1; index <= count; index += 1) await appendAudit(file, refusal(`b.00000${index}`), AT);
  const text = await readFile(file, 'utf8');
  return { file, text, rows: text.split(/(?<=\n)/) };
}

function run(...args: readonly string[]): Promise<number | null> {
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: 'inherit' });
  return new Promise((resolve) => child.on('close', resolve));
}

test('processes that append at once write one chain, in a file that is the owner’s alone', async () => {
  const file = join(folder.path, 'a', 'audit.jsonl');
  const codes = await Promise.all(['p', 'q', 'r', 's'].map((prefix) => run(file, prefix, '12')));
  assert.deepEqual(codes, [0, 0, 0, 0]);
  const lines = await readAudit(file);
  assert.equal(lines.length, 48);
  assert.equal(new Set(binlogs(lines)).size, 48);
  assertChain(await readFile(file, 'utf8'));
  assert.equal((await stat(file)).mode & 0o777, 0o600);
});

test('an edited, removed, doubled, swapped or foreign line is found by its number, and nothing is added', async () => {
  const { file, text, rows } = await written('edited.jsonl', 4);
  const [one = '', two = '', three = '', four = ''] = rows;
  const changes: readonly (readonly [string, string, number])[] = [
    // Only the line after it can tell: `line, or just before it`.
    ['an edit', text.replace('b.000002', 'b.000009'), 3],
    ['a removed line', one + three + four, 2],
    ['the first line removed', two + three + four, 1],
    ['a line twice', one + two + two + three, 3],
    ['two lines swapped', one + three + two + four, 2],
    ['text behind the last line', `${text}nonsense\n`, 5],
    ['text before a line', `${one}x${two}${three}`, 2],
    ['a line without its line feed', one + two.trimEnd() + three + four, 2],
    ['a cut line in the middle', one + two.slice(0, 50) + three + four, 2],
    ['spaces in the JSON', one + two.replace('":"', '": "') + three, 2],
    ['an endless line', one + 'x'.repeat(3 * 1024 * 1024), 2],
  ];
  for (const [what, changed, line] of changes) {
    await writeFile(file, changed);
    const isBroken = (error: AppError) => error.code === 'AuditBroken' && error.facts['line'] === line;
    await assert.rejects(readAudit(file), isBroken, what);
    await assert.rejects(appendAudit(file, refusal('b.000005'), AT), { code: 'AuditBroken' }, what);
    assert.equal(await readFile(file, 'utf8'), changed, what);
  }
});

test('wherever a crash cuts the last line, the next append says so, goes on, and the chain holds', async () => {
  const { file, text, rows } = await written('torn.jsonl', 3);
  const start = (rows[0] ?? '').length + (rows[1] ?? '').length;
  for (let cut = start + 1; cut < text.length; cut += 1) {
    await writeFile(file, text.slice(0, cut));
    const { torn } = await verifyAudit(file, () => undefined);
    assert.deepEqual([torn?.line, torn?.lengthBytes], [3, cut - start]);
    await appendAudit(file, refusal('b.000004'), AT);
    const lines = await readAudit(file);
    assert.deepEqual(binlogs(lines), ['b.000001', 'b.000002', 'torn-line', 'b.000004'], `cut at ${cut}`);
    const after = await verifyAudit(file, () => undefined);
    assert.deepEqual([after.torn, after.mended], [null, [3]]);
    assert.ok((await readFile(file, 'utf8')).startsWith(text.slice(0, cut)), 'nothing was taken away');
  }
});

test('a crash in the very append that mends a cut is mended by the next one', async () => {
  const { file, text } = await written('torn-twice.jsonl', 2);
  await writeFile(file, text.slice(0, -20));
  const before = text.length - 20;
  await appendAudit(file, refusal('b.000003'), AT);
  const whole = await readFile(file, 'utf8');
  for (let cut = before + 1; cut < whole.length; cut += 7) {
    await writeFile(file, whole.slice(0, cut));
    await appendAudit(file, refusal('b.000004'), AT);
    const lines = await readAudit(file);
    assert.deepEqual([binlogs(lines)[0], binlogs(lines).at(-1)], ['b.000001', 'b.000004'], `cut at ${cut}`);
  }
});

test('bytes of a cut line that were changed after it was noted break the chain', async () => {
  const { file, text } = await written('torn-edited.jsonl', 2);
  await writeFile(file, text.slice(0, -20));
  await appendAudit(file, refusal('b.000003'), AT);
  const mended = await readFile(file, 'utf8');
  await writeFile(file, mended.replace('b.000002', 'b.000009'));
  await assert.rejects(readAudit(file), { code: 'AuditBroken' });
});

test('a step that runs twice is written down once', async () => {
  const file = join(folder.path, 'once.jsonl');
  const isSame = ({ event }: AuditLine) => event.action === 'refusal' && event.binlog === 'b.000001';
  const kinds = [];
  for (let turn = 0; turn < 3; turn += 1) {
    kinds.push((await appendAuditOnce(file, refusal('b.000001'), AT, isSame)).kind);
  }
  assert.deepEqual(kinds, ['written', 'stands', 'stands']);
  assert.equal((await readAudit(file)).length, 1);
});

test('an entry written inside a workflow carries the id of its trace', async () => {
  const file = join(folder.path, 'traced.jsonl');
  const trace = traceOfRun('0199b8a1-0000-7abc-8def-0123456789ab');
  await withTrace(trace, () => appendAudit(file, refusal('b.000001'), AT));
  await appendAudit(file, refusal('b.000002'), AT);
  assert.deepEqual(
    (await readAudit(file)).map((line) => line.trace),
    ['0199b8a100007abc8def0123456789ab', null],
  );
});

test('a file that cannot be written is unavailable, and names itself', async () => {
  const blocked = join(folder.path, 'blocked');
  await appendFile(blocked, 'a file where a folder should be');
  const file = join(blocked, 'audit.jsonl');
  const error = await appendAudit(file, refusal('b.000001'), AT).catch((it: AppError) => it);
  assert.deepEqual(
    [error instanceof Error && error.name, 'code' in error && error.code],
    ['AppError', 'AuditUnwritable'],
  );
});
