import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rm } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';

/** What is kept of a restore, whoever asks for it later. Plain JSON; GTID sets as text, times in RFC 3339 UTC. */
export interface RestoreAudit {
  readonly action: 'restore';
  readonly outcome: 'handed-over' | 'refused' | 'failed';
  readonly requestId: string;
  readonly cluster: string;
  readonly repositoryId: string | null;
  readonly store: string;
  readonly target: string;
  readonly backupId: string | null;
  readonly expectedGtids: string | null;
  readonly gtidExecuted: string | null;
  readonly skippedGtids: string;
  readonly dataDir: string | null;
  /** One sentence: what was done, or why it was not. */
  readonly detail: string;
}

/** A line of the audit file. */
export interface AuditLine {
  readonly format: 1;
  /** From 1, without holes. */
  readonly sequence: number;
  /** SHA-256 of the line before, line feed included; null in the first. */
  readonly previous: string | null;
  /** RFC 3339 UTC. */
  readonly at: string;
  readonly user: string;
  readonly host: string;
  readonly event: RestoreAudit;
}

const LOCK_WAIT_MS = 10_000;
const LOCK_POLL_MS = 50;

/**
 * Appends a line to an audit file and makes it durable; each line names the digest of the one before.
 * A crash leaves the line whole, or a cut last line, which `readAudit` names.
 * @throws corrupt `AuditBroken` where the file was changed; unavailable where another process holds it
 */
export async function appendAudit(file: string, event: RestoreAudit, at: string): Promise<AuditLine> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const lock = `${file}.lock`;
  await acquire(lock);
  try {
    const lines = await readAudit(file);
    const last = lines.at(-1);
    const line: AuditLine = {
      format: 1,
      sequence: lines.length + 1,
      previous: last === undefined ? null : digest(encode(last)),
      at,
      user: userInfo().username,
      host: hostname(),
      event,
    };
    await appendDurably(file, encode(line));
    return line;
  } finally {
    await rm(lock, { force: true });
  }
}

/**
 * Reads an audit file and verifies its chain; empty where there is none.
 * @throws corrupt `AuditBroken` with the number of the first bad line
 */
export async function readAudit(file: string): Promise<AuditLine[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  });
  const lines: AuditLine[] = [];
  let previous: string | null = null;
  for (const raw of text.split(/(?<=\n)/)) {
    if (raw === '') continue;
    const line = parseLine(raw);
    const fits = line?.sequence === lines.length + 1 && line.previous === previous && encode(line) === raw;
    if (!fits) throw broken(file, lines.length + 1);
    lines.push(line);
    previous = digest(raw);
  }
  return lines;
}

function parseLine(raw: string): AuditLine | null {
  try {
    return JSON.parse(raw) as AuditLine;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function encode(line: AuditLine): string {
  return `${JSON.stringify(line)}\n`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function appendDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, 'a', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The lock holds the process id; one that has ended without removing it is no reason to wait. */
async function acquire(lock: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < LOCK_WAIT_MS; waitedMs += LOCK_POLL_MS) {
    const handle = await tryLock(lock);
    if (handle !== null) {
      await handle.writeFile(String(process.pid));
      await handle.close();
      return;
    }
    if (await isAbandoned(lock)) await rm(lock, { force: true });
    else await sleep(LOCK_POLL_MS);
  }
  throw new AppError({
    code: 'AuditLocked',
    kind: 'unavailable',
    message: `${lock} is held by another process, so the audit record could not be written.`,
    hint: 'Wait for the other restore, or remove the file if no process holds it.',
    facts: { lock },
  });
}

async function tryLock(lock: string): Promise<FileHandle | null> {
  return open(lock, 'wx', 0o600).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null;
    throw error;
  });
}

async function isAbandoned(lock: string): Promise<boolean> {
  const text = await readFile(lock, 'utf8').catch(() => '');
  const pid = Number(text);
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function broken(file: string, line: number): AppError {
  return new AppError({
    code: 'AuditBroken',
    kind: 'corrupt',
    message: `${file} was changed or cut at line ${line}, or just before it: from there on it proves nothing, and nothing was added to it.`,
    hint: 'Keep this file as it is for whoever looks into it, and move it away: a new one is begun.',
    facts: { file, line },
  });
}
