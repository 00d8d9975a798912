import { createReadStream } from 'node:fs';
import { link, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../domain/errors.ts';
import { freeBytes } from '../process/disk.ts';
import { faultPoint } from '../process/fault.ts';
import { isCode, removeIfThere, writeWhole } from '../process/files.ts';
import { peekLog } from './peek.ts';
import { logChanged, logPurged } from './refusals.ts';
import { type LogRef, stagedFiles } from './staging.ts';

const CHUNK_BYTES = 1024 * 1024;

/** Room that is left free in the staging file system, for the database may share it. */
const RESERVE_BYTES = 64 * 1024 * 1024;

/**
 * Stages logs in order, and ends at the first that the server purged or replaced meanwhile: the next
 * look at the server tells what became of it.
 *
 * @returns how many were staged
 * @throws unavailable `StagingFull`
 */
export async function stageLogs(
  stagingDir: string,
  binlogDir: string,
  logs: readonly LogRef[],
): Promise<number> {
  for (const [staged, log] of logs.entries()) {
    try {
      await stageLog(stagingDir, binlogDir, log);
    } catch (error) {
      if (error instanceof AppError && (error.code === 'BinlogPurged' || error.code === 'BinlogChanged'))
        return staged;
      throw error;
    }
  }
  return logs.length;
}

/**
 * Puts a closed log into the staging folder, so that a purge on the server cannot take it away: a
 * hard link, or a copy where the folder lies in another file system or the kernel refuses the link.
 * A log that is staged already is left as it is. A crash leaves the link, or a partial copy.
 *
 * @throws unavailable `BinlogPurged` (gone before it was staged), `BinlogChanged` (another file now
 *   stands under the name), `StagingFull`
 */
async function stageLog(stagingDir: string, binlogDir: string, log: LogRef): Promise<void> {
  const staged = stagedFiles(stagingDir, log).log;
  const source = join(binlogDir, log.binlog);
  await linkOrCopy(source, staged, log);
  await verifyStaged(staged, log);
  faultPoint('archive.staged');
}

async function linkOrCopy(source: string, staged: string, log: LogRef): Promise<void> {
  try {
    await link(source, staged);
  } catch (error) {
    if (isCode(error, 'EEXIST')) return;
    if (isCode(error, 'ENOENT')) throw logPurged(log, source);
    // EXDEV: another file system. EPERM: protected_hardlinks, or one without links. EMLINK: too many.
    if (!isCode(error, 'EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP')) throw error;
    await copy(source, staged, log);
  }
}

async function copy(source: string, staged: string, log: LogRef): Promise<void> {
  await assertRoom(staged, log.lengthBytes);
  try {
    await writeWhole(staged, async (file) => {
      for await (const chunk of createReadStream(source, { highWaterMark: CHUNK_BYTES })) {
        await file.appendFile(chunk as Uint8Array);
      }
    });
  } catch (error) {
    throw isCode(error, 'ENOENT') ? logPurged(log, source) : error;
  }
}

/**
 * Makes sure that what was staged is the log that was listed: between listing and staging the name may have gone to
 * another file (a reset); then ours is gone. @throws unavailable `BinlogChanged`, and removes what was staged
 */
export async function verifyStaged(staged: string, log: LogRef): Promise<void> {
  const { size } = await stat(staged);
  const found = await peekLog(staged, log.binlog);
  const same =
    found.kind === 'readable' &&
    size === log.lengthBytes &&
    found.peek.createdAt === log.createdAt &&
    found.peek.firstCommit === log.firstCommit;
  if (same) return;
  await removeIfThere(staged);
  throw logChanged(log, `${size} bytes where ${log.lengthBytes} were listed, or another beginning`);
}

/** Refuses before it starts what the staging file system cannot hold. @throws unavailable `StagingFull` */
export async function assertRoom(path: string, neededBytes: number): Promise<void> {
  const free = await freeBytes(path);
  if (free >= neededBytes + RESERVE_BYTES) return;
  throw new AppError({
    code: 'StagingFull',
    kind: 'unavailable',
    message: `The staging folder has ${free} bytes free, and ${neededBytes} are needed beside a reserve of ${RESERVE_BYTES}: nothing was written.`,
    hint: 'Free space there, or set stagingDir to another file system. Archiving goes on by itself then.',
    facts: { path, freeBytes: free, neededBytes, reserveBytes: RESERVE_BYTES },
  });
}
