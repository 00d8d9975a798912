import { AppError } from './errors.ts';

declare const brand: unique symbol;
/** A string that was checked once, at the edge, and is trusted after that. */
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** `server_uuid` of a MySQL server: lower case, with hyphens. */
export type ServerUuid = Branded<'ServerUuid'>;
/** File name of a binary log, without a folder: `binlog.000042`. */
export type BinlogName = Branded<'BinlogName'>;
/** SHA-256 as 64 lower-case hexadecimal digits. */
export type Sha256 = Branded<'Sha256'>;
/** Random UUID that binds a repository to one cluster; written in its first catalog entry. */
export type RepositoryId = Branded<'RepositoryId'>;
/** `YYYYMMDDTHHMMSSZ-xxxxxxxx`, unique in a repository, ordered by time. */
export type BackupId = Branded<'BackupId'>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const BINLOG_NAME = /^[A-Za-z0-9_.-]{1,200}\.[0-9]{6,10}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const BACKUP_ID = /^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$/;

function checked<T extends string>(what: string, pattern: RegExp, text: string, wanted: string): T {
  if (pattern.test(text)) return text as T;
  throw new AppError({
    code: 'MalformedIdentity',
    kind: 'refused',
    message: `${JSON.stringify(text.slice(0, 80))} is not a ${what}, so nothing can be found or stored under it.`,
    hint: `A ${what} looks like ${wanted}.`,
    facts: { what, text: text.slice(0, 80) },
  });
}

/** Parses a server UUID, in either case. @throws refused */
export function parseServerUuid(text: string): ServerUuid {
  return checked('server UUID', UUID, text.toLowerCase(), '3e11fa47-71ca-11e1-9e33-c80aa9429562');
}

/** True where the text can be a binlog's name and can stand in a key. */
export function isBinlogName(text: string): text is BinlogName {
  return BINLOG_NAME.test(text);
}

/** Parses a binlog name; a path, `..` or a strange character is refused. @throws refused */
export function parseBinlogName(text: string): BinlogName {
  return checked('binlog name', BINLOG_NAME, text, 'binlog.000042');
}

/** The number at the end of a binlog name: 42 for `binlog.000042`. */
export function binlogIndex(name: BinlogName): number {
  return Number(name.slice(name.lastIndexOf('.') + 1));
}

/** Parses a SHA-256 in hexadecimal. @throws refused */
export function parseSha256(text: string): Sha256 {
  return checked('SHA-256', SHA256, text, '64 hexadecimal digits');
}

/** Parses a repository id. @throws refused */
export function parseRepositoryId(text: string): RepositoryId {
  return checked('repository id', UUID, text, 'a lower-case UUID');
}

/** Parses a backup id. @throws refused */
export function parseBackupId(text: string): BackupId {
  return checked('backup id', BACKUP_ID, text, '20261120T103205Z-1a2b3c4d');
}
