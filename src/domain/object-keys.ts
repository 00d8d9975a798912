import { AppError } from './errors.ts';
import type { BackupId, BinlogName, ServerUuid, Sha256 } from './identity.ts';
import type { StoredObject } from './segment.ts';
import { formatInstant, type Micros } from './time.ts';

type Encryption = StoredObject['encryption'];

function suffix(encryption: Encryption): string {
  return encryption === 'none' ? '' : '.enc';
}

function twentyDigits(value: number): string {
  if (Number.isSafeInteger(value) && value >= 0) return value.toString().padStart(20, '0');
  throw new AppError({
    code: 'SequenceOutOfRange',
    kind: 'bug',
    message: `${value} is no sequence number, so no key can be made of it.`,
    facts: { value },
  });
}

/**
 * Key of an archived binlog: `mysql/{server_uuid}/{yyyy}/{mm}/{binlog}.{12 hex}.zst[.enc]`, year
 * and month (UTC) of the file's first event. The digest of the plaintext makes logs of one name
 * (after a reset) lie side by side.
 */
export function segmentKey(
  serverUuid: ServerUuid,
  binlog: BinlogName,
  firstEventTime: Micros,
  sha256: Sha256,
  encryption: Encryption = 'aws-encryption-sdk',
): string {
  const month = formatInstant(firstEventTime).slice(0, 7).replace('-', '/');
  return `mysql/${serverUuid}/${month}/${binlog}.${sha256.slice(0, 12)}.zst${suffix(encryption)}`;
}

/** Key of a base backup: `backups/{id}/base.tar.zst[.enc]`. */
export function backupKey(backupId: BackupId, encryption: Encryption = 'aws-encryption-sdk'): string {
  return `backups/${backupId}/base.tar.zst${suffix(encryption)}`;
}

/** Key of a catalog entry: `catalog/{20 digits}.json`. */
export function catalogKey(sequence: number): string {
  return `catalog/${twentyDigits(sequence)}.json`;
}

/** Key of a pack of catalog entries: `catalog/packs/{20 digits}.ndjson.zst`. */
export function catalogPackKey(number: number): string {
  return `catalog/packs/${twentyDigits(number)}.ndjson.zst`;
}
