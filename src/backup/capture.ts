import { assertSamePrepared, type CopyFacts, readCopy } from '../engines/clone/read-copy.ts';
import { type CopyOptions, withStartedCopy } from '../engines/clone/started-copy.ts';
import { readPreparedXa } from '../mysql/facts.ts';
import { faultPoint } from '../process/fault.ts';
import type { BackupContext } from './context.ts';
import { backupFolder, readMark, requireMark, writeMark } from './folder.ts';
import type { CapturedBackup, ClonedBackup } from './state.ts';

/**
 * Phase 3: starts a throw-away server on the clone, reads where the clone was taken, and stops it
 * cleanly: the folder then needs no recovery any more, and was proven to start. Prepared XA
 * transactions must survive that stop, so where there are any, it is started once more.
 * A crash leaves a running server, which the next try kills; InnoDB recovers, the coordinates stay.
 * @throws corrupt (coordinates that do not fit), refused `PreparedTransactionsLost`, `StagedCloneLost`; unavailable
 */
export async function captureCoordinates(ctx: BackupContext, cloned: ClonedBackup): Promise<CapturedBackup> {
  const folder = backupFolder(ctx.stagingDir, cloned.backupId);
  const done = await readMark<CapturedBackup>(folder, 'captured');
  if (done !== undefined) return done;
  await requireMark(folder, 'cloned');
  const copy: CopyOptions = {
    dataDir: folder.clone,
    workDir: folder.work,
    lowerCaseTableNames: cloned.lowerCaseTableNames,
    mysqld: ctx.mysqld,
    signal: ctx.signal,
  };
  const facts = await withStartedCopy(copy, readCopy);
  if (facts.preparedXa.length > 0) {
    assertSamePrepared(facts.preparedXa, await withStartedCopy(copy, readPreparedXa));
  }
  faultPoint('backup.captured');
  const captured = withCoordinates(cloned, facts);
  await writeMark(folder, 'captured', captured);
  return captured;
}

function withCoordinates(cloned: ClonedBackup, facts: CopyFacts): CapturedBackup {
  return {
    ...cloned,
    coordinates: {
      gtidExecuted: facts.gtidExecuted.toString(),
      gtidPurged: cloned.gtidPurged,
      binlog: facts.binlog,
      position: facts.position,
    },
    preparedXa: facts.preparedXa,
    schemaSha256: facts.schemaSha256,
  };
}
