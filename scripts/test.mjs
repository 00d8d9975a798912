/**
 * Runs the tests on Node 24: the quick kinds first, three files at a time, and then looks for anything left behind.
 * Words after `--` choose the files whose path contains one of them.
 *
 * Usage: npm test [-- WORD…]
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { processesMarked } from '../test/support/leftovers.ts';
import { root } from './lib/say.mjs';

const KINDS = ['unit', 'contract', 'workflow', 'integration', 'fault'];
/** Each of the slower files keeps a few servers busy, and waits for them a third of its time. */
const FILES_AT_A_TIME = 3;
/** Longer than any test may take; a test that hangs must not hold the run for ever. */
const FILE_TIMEOUT_MS = 15 * 60_000;
const RUN_MARK = 'PITRAIL_TEST_RUN';

function testFiles(words) {
  const files = KINDS.flatMap((kind) =>
    readdirSync(join(root, 'test', kind), { recursive: true })
      .filter((name) => name.endsWith('.test.ts'))
      .sort()
      .map((name) => join(root, 'test', kind, name)),
  );
  return words.length === 0 ? files : files.filter((file) => words.some((word) => file.includes(word)));
}

function runFiles(files) {
  return new Promise((resolve) => {
    let failed = false;
    const stream = run({ files, concurrency: FILES_AT_A_TIME, timeout: FILE_TIMEOUT_MS });
    stream.on('test:fail', ({ todo }) => {
      failed ||= todo === undefined || todo === false;
    });
    stream.compose(spec).pipe(process.stdout);
    stream.on('close', () => resolve(failed ? 1 : 0));
    stream.on('end', () => resolve(failed ? 1 : 0));
  });
}

/** Everything that the tests started or made and that is still there. Processes are ended, files removed. */
function leftBehind(mark, folder) {
  const processes = processesMarked(RUN_MARK, mark);
  for (const { pid } of processes) process.kill(pid, 'SIGKILL');
  const files = readdirSync(folder);
  rmSync(folder, { recursive: true, force: true });
  return [
    ...processes.map(({ pid, command }) => `process ${pid}: ${command.slice(0, 160)}`),
    ...files.map((name) => `in the temporary folder: ${name}`),
  ];
}

const files = testFiles(process.argv.slice(2));
if (files.length === 0) {
  process.stderr.write('test: no test file was chosen\n');
  process.exit(64);
}
const mark = randomUUID();
// Short: the paths of sockets in it must stay under 108 bytes.
const folder = mkdtempSync(join(tmpdir(), 'pt'));
process.env[RUN_MARK] = mark;
// The same modules are loaded by some thousand processes, and npm would keep what it compiled in the folder above.
const compiled = mkdtempSync(join(tmpdir(), 'pitrail-compiled-'));
process.env.NODE_COMPILE_CACHE = compiled;
process.env.TMPDIR = folder;
const failed = await runFiles(files);
rmSync(compiled, { recursive: true, force: true });
const left = leftBehind(mark, folder);
for (const line of left) process.stderr.write(`test: left behind: ${line}\n`);
process.exitCode = failed !== 0 || left.length > 0 ? 1 : 0;
