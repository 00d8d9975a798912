import { AppError } from '../domain/errors.ts';
import { type BackupId, parseBackupId } from '../domain/identity.ts';
import { formatInstant, type Micros } from '../domain/time.ts';

/** The id of a backup begun at a time: `20261120T103205Z-1a2b3c4d`. Pure: `random` is 8 hexadecimal digits. */
export function makeBackupId(at: Micros, random: string): BackupId {
  const [seconds] = formatInstant(at).split('.');
  if (seconds === undefined || !/^[0-9a-f]{8}$/.test(random)) {
    throw new AppError({
      code: 'BadBackupIdParts',
      kind: 'bug',
      message: `${JSON.stringify(random)} is not 8 hexadecimal digits, so no backup id can be made.`,
    });
  }
  return parseBackupId(`${seconds.replaceAll(/[-:]/g, '')}Z-${random}`);
}
