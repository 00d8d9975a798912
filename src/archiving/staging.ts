import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
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
  /** What a remote source has sent of the log so far; becomes `log`. */
  readonly fetched: string;
  /** The closed log: a hard link, a copy, or as the server sent it. */
  readonly log: string;
  /** What goes to the stores; complete once `facts` exists. */
  readonly sealed: string;
  /** JSON: what the pass over the log found. Created last, after fsync of the others. */
  readonly facts: string;
}

export const FETCHED_SUFFIX = '.fetch';
export const LOG_SUFFIX = '.log';
export const SEALED_SUFFIX = '.sealed';
export const FACTS_SUFFIX = '.json';

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
  return {
    fetched: `${stem}${FETCHED_SUFFIX}`,
    log: `${stem}${LOG_SUFFIX}`,
    sealed: `${stem}${SEALED_SUFFIX}`,
    facts: `${stem}${FACTS_SUFFIX}`,
  };
}

/** Creates the folder of a server, readable by nobody else: it holds binlogs in the clear. */
export async function ensureStagingDir(stagingDir: string, serverUuid: ServerUuid): Promise<void> {
  await mkdir(join(stagingDir, serverUuid), { recursive: true, mode: 0o700 });
}
