import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BinlogName, ServerUuid } from '../domain/identity.ts';

/**
 * One binlog file, told apart from every other of its name: names start anew after
 * `RESET BINARY LOGS AND GTIDS`, so the name alone identifies nothing.
 */
export interface LogRef {
  readonly serverUuid: ServerUuid;
  readonly binlog: BinlogName;
  /** Header time of FORMAT_DESCRIPTION, RFC 3339. */
  readonly createdAt: string;
  /** Commit time of the first transaction; null where there is none. */
  readonly firstCommit: string | null;
  readonly lengthBytes: number;
}

/** The files that one log has in the staging folder, in the order in which they come to be. */
export interface StagedFiles {
  /** Hard link to (or copy of) the closed log. */
  readonly log: string;
  /** What goes to the stores; complete once `facts` exists. */
  readonly sealed: string;
  /** JSON: what the pass over the log found. Created last, after fsync of the others. */
  readonly facts: string;
}

export const LOG_SUFFIX = '.log';
export const SEALED_SUFFIX = '.sealed';
export const FACTS_SUFFIX = '.json';

/** Random for each process, so that a partial file of a dead process with our id is told apart. */
export const PROCESS_NONCE = randomBytes(4).toString('hex');

/**
 * Name stem of a log in the staging folder: its own name and 12 hexadecimal digits of its identity.
 */
export function stagedStem(log: LogRef): string {
  const identity = [log.serverUuid, log.createdAt, log.firstCommit ?? '', log.lengthBytes].join('\n');
  return `${log.binlog}.${createHash('sha256').update(identity).digest('hex').slice(0, 12)}`;
}

/** Paths of a log's files: in the staging folder, under the server that wrote it. */
export function stagedFiles(stagingDir: string, log: LogRef): StagedFiles {
  const stem = join(stagingDir, log.serverUuid, stagedStem(log));
  return { log: `${stem}${LOG_SUFFIX}`, sealed: `${stem}${SEALED_SUFFIX}`, facts: `${stem}${FACTS_SUFFIX}` };
}

/** Creates the folder of a server, readable by nobody else: it holds binlogs in the clear. */
export async function ensureStagingDir(stagingDir: string, serverUuid: ServerUuid): Promise<void> {
  await mkdir(join(stagingDir, serverUuid), { recursive: true, mode: 0o700 });
}

/**
 * Writes a file so that it is there whole or not at all: a partial file of its own name, fsync,
 * rename, fsync of the folder. A crash leaves at most the partial file, which `removeDeadPartials` finds.
 */
export async function writeWhole<T>(path: string, write: (file: FileHandle) => Promise<T>): Promise<T> {
  const partial = `${path}.${process.pid}-${PROCESS_NONCE}-${randomBytes(4).toString('hex')}.partial`;
  const file = await open(partial, 'wx', 0o600);
  try {
    const result = await write(file);
    await file.sync();
    await file.close();
    await rename(partial, path);
    await syncFolder(dirname(path));
    return result;
  } catch (error) {
    await file.close();
    await removeIfThere(partial);
    throw error;
  }
}

/** Removes a file; one that is gone already is fine. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}

/** True where an error of the file system has this code. */
export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
