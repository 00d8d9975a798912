import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseServerUuid, type ServerUuid } from '../domain/identity.ts';
import { isCode, PROCESS_NONCE, removeIfThere } from '../process/files.ts';
import { FACTS_SUFFIX, FETCHED_SUFFIX, LOG_SUFFIX, SEALED_SUFFIX } from './staging.ts';

const STAGED_LOG = /^(?<binlog>.+\.[0-9]{6,10})\.[0-9a-f]{12}\.log$/;
const SERVER_FOLDER = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const PARTIAL = /\.(?<pid>\d+)-(?<nonce>[0-9a-f]{8})-[0-9a-f]{8}\.partial$/;

/** A log that lies in the staging folder. */
export interface StagedLog {
  readonly path: string;
  /** Stem of its files' names. */
  readonly stem: string;
  readonly binlog: string;
}

/** The servers that something was ever staged of. */
export async function listStagedServers(stagingDir: string): Promise<ServerUuid[]> {
  return (await namesIn(stagingDir)).filter((name) => SERVER_FOLDER.test(name)).map(parseServerUuid);
}

/** The logs that lie staged of one server; none where the folder does not exist. */
export async function listStaged(stagingDir: string, serverUuid: ServerUuid): Promise<StagedLog[]> {
  const folder = join(stagingDir, serverUuid);
  return (await namesIn(folder)).flatMap((name) => {
    const binlog = STAGED_LOG.exec(name)?.groups?.['binlog'];
    return binlog === undefined
      ? []
      : [{ binlog, path: join(folder, name), stem: name.slice(0, -LOG_SUFFIX.length) }];
  });
}

/**
 * Removes what crashes left: partial files whose process is gone, sealed files or facts whose log is
 * not staged any more, and parts of logs that their server has no more (`wanted` are the stems of
 * those that it has). What a living process writes is left alone.
 */
export async function removeLeftovers(
  stagingDir: string,
  serverUuid: ServerUuid,
  wanted: ReadonlySet<string> = new Set(),
): Promise<void> {
  const folder = join(stagingDir, serverUuid);
  const names = await namesIn(folder);
  const staged = new Set(
    names.filter((name) => name.endsWith(LOG_SUFFIX)).map((name) => name.slice(0, -LOG_SUFFIX.length)),
  );
  for (const name of names) {
    if (isDeadPartial(name) || isOrphan(name, staged) || isLostPart(name, wanted))
      await removeIfThere(join(folder, name));
  }
}

function isOrphan(name: string, staged: ReadonlySet<string>): boolean {
  const suffix = [SEALED_SUFFIX, FACTS_SUFFIX].find((candidate) => name.endsWith(candidate));
  return suffix !== undefined && !staged.has(name.slice(0, -suffix.length));
}

function isLostPart(name: string, wanted: ReadonlySet<string>): boolean {
  return name.endsWith(FETCHED_SUFFIX) && !wanted.has(name.slice(0, -FETCHED_SUFFIX.length));
}

function isDeadPartial(name: string): boolean {
  const owner = PARTIAL.exec(name)?.groups;
  return owner !== undefined && !isAlive(Number(owner['pid']), String(owner['nonce']));
}

/** After a restart in a container our own process id may be that of the dead one; the nonce tells them apart. */
function isAlive(pid: number, nonce: string): boolean {
  if (pid === process.pid) return nonce === PROCESS_NONCE;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, 'EPERM');
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  }
}
