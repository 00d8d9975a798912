import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';

/**
 * Everything that a test process starts inherits this variable, detached servers and their children too,
 * so what is left behind is found in /proc without any book-keeping that a crash could lose.
 */
const MARK = 'PITRAIL_TEST_PROCESS';
/** How long a process that was just told to end may take. */
const DYING_MS = 3_000;

const mark = randomUUID();
process.env[MARK] = mark;
const folders = new Set<string>();

/** A process that a test left running. */
export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/** Processes whose environment holds `NAME=value`; zombies have none. This process is left out. */
export function processesMarked(name: string, value: string): Leftover[] {
  const wanted = `${name}=${value}`;
  return readdirSync('/proc')
    .filter((entry) => /^[0-9]+$/.test(entry) && Number(entry) !== process.pid)
    .filter((pid) => readProc(pid, 'environ').split('\0').includes(wanted))
    .map((pid) => ({ pid: Number(pid), command: readProc(pid, 'cmdline').replaceAll('\0', ' ').trim() }));
}

/** A folder that is removed when this process ends, should a test not have come to it. */
export function removeAtExit(folder: string): void {
  folders.add(folder);
}

/** The folder is gone already, or its removal is somebody else's. */
export function forgetFolder(folder: string): void {
  folders.delete(folder);
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // It ended meanwhile, or belongs to somebody else: not ours in either case.
  }
}

function waitForEnd(): Leftover[] {
  const deadline = Date.now() + DYING_MS;
  const still = new Int32Array(new SharedArrayBuffer(4));
  let left = processesMarked(MARK, mark);
  while (left.length > 0 && Date.now() < deadline) {
    Atomics.wait(still, 0, 0, 50);
    left = processesMarked(MARK, mark);
  }
  return left;
}

process.on('exit', () => {
  const left = waitForEnd();
  for (const { pid, command } of left) {
    process.stderr.write(`left running by this test, and killed now: ${pid} ${command.slice(0, 200)}\n`);
    process.kill(pid, 'SIGKILL');
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  if (left.length > 0) process.exitCode = 1;
});
