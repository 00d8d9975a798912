import { mkdir, open } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import { holdName } from '../process/exclusive.ts';
import { syncPath } from '../process/files.ts';
import type { AuditEvent } from './audit-events.ts';
import { type AuditHead, type AuditLine, encodeLine, headBehind } from './audit-line.ts';
import { type AuditWalk, walkAudit } from './audit-walk.ts';
import { currentTrace } from './trace.ts';

const LOCK_WAIT_MS = 10_000;
const LOCK_POLL_MS = 20;

/** What an append did. */
export type Appended =
  | { readonly kind: 'written'; readonly line: AuditLine }
  /** An equal event stood there already: nothing was written. */
  | { readonly kind: 'stands'; readonly line: AuditLine };

/**
 * Appends a line to an audit file and makes it durable; each line names the digest of the one before.
 * The file is only ever appended to. A crash leaves the line whole, or cut at the end of the file: then
 * the next append writes a note of the cut behind it, and goes on.
 * @throws corrupt `AuditBroken` where the file was changed; unavailable `AuditLocked`, `AuditUnwritable`
 */
export function appendAudit(file: string, event: AuditEvent, at: string): Promise<Appended> {
  return appendAuditOnce(file, event, at, () => false);
}

/** As `appendAudit`, unless a line stands there that `isSame` recognises: a step may be run twice. */
export function appendAuditOnce(
  file: string,
  event: AuditEvent,
  at: string,
  isSame: (line: AuditLine) => boolean,
): Promise<Appended> {
  return whileLocked(file, async () => {
    let same: AuditLine | undefined;
    const walk = await walkAudit(file, (line) => {
      if (isSame(line)) same = line;
    });
    if (same !== undefined) return { kind: 'stands', line: same };
    const { text, line } = linesToAdd(walk, event, at);
    await appendDurably(file, text);
    return { kind: 'written', line };
  });
}

/** Every line of an audit file, its chain verified; a cut last line was never acknowledged and is left out. */
export async function readAudit(file: string): Promise<AuditLine[]> {
  const lines: AuditLine[] = [];
  await walkAudit(file, (line) => void lines.push(line));
  return lines;
}

/** Walks a file while nobody appends to it. @throws corrupt `AuditBroken`; unavailable `AuditLocked` */
export function verifyAudit(file: string, visit: (line: AuditLine) => void): Promise<AuditWalk> {
  return whileLocked(file, () => walkAudit(file, visit));
}

interface Addition {
  readonly text: string;
  readonly line: AuditLine;
}

function linesToAdd(walk: AuditWalk, event: AuditEvent, at: string): Addition {
  if (walk.torn === null) {
    const line = lineBehind(walk.head, event, at);
    return { line, text: encodeLine(line) };
  }
  const { lengthBytes, sha256 } = walk.torn;
  const note = lineBehind(walk.head, { action: 'torn-line', lengthBytes, sha256 }, at);
  const line = lineBehind(headBehind(note), event, at);
  return { line, text: encodeLine(note) + encodeLine(line) };
}

function lineBehind(head: AuditHead, event: AuditEvent, at: string): AuditLine {
  return {
    format: 1,
    sequence: head.sequence + 1,
    previous: head.sha256,
    at,
    user: currentUser(),
    host: hostname(),
    trace: currentTrace()?.traceId ?? null,
    event,
  };
}

/** In a container the user may have a number and no name. */
function currentUser(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}

async function appendDurably(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const handle = await open(file, 'a', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await syncPath(dirname(file));
  } catch (error) {
    throw unwritable(file, error);
  }
}

/** One writer at a time on this host: the chain would fork where two read the same last line. */
async function whileLocked<T>(file: string, act: () => Promise<T>): Promise<T> {
  const name = resolve(file);
  for (let waitedMs = 0; waitedMs < LOCK_WAIT_MS; waitedMs += LOCK_POLL_MS) {
    const lock = await holdName('audit', name);
    if (lock !== null) {
      try {
        return await act();
      } finally {
        lock.close();
      }
    }
    await sleep(LOCK_POLL_MS);
  }
  throw new AppError({
    code: 'AuditLocked',
    kind: 'unavailable',
    message: `Another process has been writing to ${file} for ${LOCK_WAIT_MS / 1000} seconds, so the audit record was not written.`,
    hint: 'Find out what holds it: an audit record takes milliseconds.',
    facts: { file },
  });
}

function unwritable(file: string, cause: unknown): AppError {
  const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new AppError({
    code: 'AuditUnwritable',
    kind: 'unavailable',
    message: `${file} cannot be written (${reason}), so what was done is not on record and the step is tried again.`,
    hint: 'Let the user of this process write there, and see that the disk is not full.',
    facts: { file, reason },
    cause,
  });
}
