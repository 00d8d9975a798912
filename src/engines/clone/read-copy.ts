import { createHash } from 'node:crypto';
import type { PreparedXa } from '../../domain/catalog-entry.ts';
import { AppError } from '../../domain/errors.ts';
import { GtidSet } from '../../domain/gtid-set.ts';
import { type BinlogName, parseBinlogName, parseSha256, type Sha256 } from '../../domain/identity.ts';
import { readGtidExecuted, readPreparedXa } from '../../mysql/facts.ts';
import type { MysqlSession } from '../../mysql/session.ts';

/** What a started copy says of itself. */
export interface CopyFacts {
  readonly gtidExecuted: GtidSet;
  readonly binlog: BinlogName;
  readonly position: number;
  readonly preparedXa: readonly PreparedXa[];
  readonly schemaSha256: Sha256;
}

/**
 * Reads coordinates, prepared XA transactions and the schema digest from a started copy, and proves
 * that they belong together.
 * @throws corrupt `CoordinatesMissing`, `CoordinatesDiffer`; refused `PreparedTransactionsLost`
 */
export async function readCopy(session: MysqlSession): Promise<CopyFacts> {
  const coordinates = await readCoordinates(session);
  const executed = GtidSet.parse(await readGtidExecuted(session));
  if (!executed.equals(coordinates.gtidExecuted)) {
    throw copyCorrupt(
      'CoordinatesDiffer',
      `The clone was taken at ${coordinates.gtidExecuted}, and the server started on it has executed ${executed}: the copy is not what it says.`,
    );
  }
  const preparedXa = await readPreparedXa(session);
  const found = await readRecoveredXa(session);
  if (found !== preparedXa.length) throw preparedLost(found, preparedXa.length);
  return { ...coordinates, preparedXa, schemaSha256: await readSchemaDigest(session) };
}

/** Compares the prepared transactions of two starts. @throws refused `PreparedTransactionsLost` */
export function assertSamePrepared(before: readonly PreparedXa[], after: readonly PreparedXa[]): void {
  if (JSON.stringify(before) !== JSON.stringify(after)) throw preparedLost(before.length, after.length);
}

async function readCoordinates(
  session: MysqlSession,
): Promise<{ binlog: BinlogName; position: number; gtidExecuted: GtidSet }> {
  const [row] = await session.query<{ file: string; position: string; gtids: string; state: string }>(
    `SELECT BINLOG_FILE AS file, BINLOG_POSITION AS position, GTID_EXECUTED AS gtids, STATE AS state
     FROM performance_schema.clone_status`,
  );
  if (row === undefined || row.state !== 'Completed' || row.file === '') {
    throw copyCorrupt(
      'CoordinatesMissing',
      'The server started on the clone does not say where it was taken.',
    );
  }
  return {
    binlog: parseBinlogName(row.file.slice(row.file.lastIndexOf('/') + 1)),
    position: Number(row.position),
    gtidExecuted: GtidSet.parse(row.gtids.replaceAll(/\s/g, '')),
  };
}

/**
 * How many prepared XA transactions recovery found in this start. XA RECOVER alone does not tell: where
 * formatIDs are mixed, the server rolls some of them back at its start, and their GTIDs stay executed.
 * MY-010225: "Found %d prepared XA transactions" (MySQL: share/messages_to_error_log.txt).
 */
async function readRecoveredXa(session: MysqlSession): Promise<number> {
  const [row] = await session.query<{ data: string }>(
    "SELECT DATA AS data FROM performance_schema.error_log WHERE ERROR_CODE = 'MY-010225' ORDER BY LOGGED DESC LIMIT 1",
  );
  return row === undefined ? 0 : Number(/\d+/.exec(row.data)?.[0] ?? 0);
}

const COLUMNS_SQL = `SELECT TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE,
    COLUMN_DEFAULT, EXTRA, CHARACTER_SET_NAME, COLLATION_NAME, COLUMN_KEY, GENERATION_EXPRESSION
  FROM information_schema.COLUMNS
  WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')`;

/** SHA-256 over one JSON line per column of the user's schemas, the lines sorted by code unit. */
async function readSchemaDigest(session: MysqlSession): Promise<Sha256> {
  const rows = await session.query<Record<string, string | number | null>>(COLUMNS_SQL);
  const lines = rows.map((row) => `${JSON.stringify(Object.values(row))}\n`).sort();
  const hash = createHash('sha256');
  for (const line of lines) hash.update(line);
  return parseSha256(hash.digest('hex'));
}

function preparedLost(before: number, after: number): AppError {
  return new AppError({
    code: 'PreparedTransactionsLost',
    kind: 'refused',
    message: `The source has ${before} prepared XA transactions, of which ${after} remain after a start of the copy: a restore from this backup would lose the others although their GTIDs count as executed.`,
    hint: 'End the prepared transactions (XA COMMIT or XA ROLLBACK), or use one formatID for all: MySQL loses some of them at a start where formatIDs are mixed.',
    facts: { before, after },
  });
}

function copyCorrupt(code: string, message: string): AppError {
  return new AppError({ code, kind: 'corrupt', message, hint: 'Take the backup again.' });
}
