/**
 * The log that the replay benchmark replays: small OLTP transactions of several sessions, written by a real
 * server, with the data folder from before it as the base.
 */
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { connectMysql, type MysqlSession } from '../../src/mysql/session.ts';
import { initializeDataDir, type RunningMysqld, startMysqld } from '../../src/process/mysqld.ts';
import { findTool } from '../../src/process/tools.ts';

const TABLES = 4;
const ROWS = 20_000;
const SESSIONS = 4;
const TRANSACTIONS_PER_ROUND = 2_500;

const ORIGIN_OPTIONS = [
  '--gtid-mode=ON',
  '--enforce-gtid-consistency=ON',
  '--log-bin=binlog',
  '--sync-binlog=0',
  '--innodb-flush-log-at-trx-commit=0',
  '--innodb-doublewrite=OFF',
  '--max-binlog-size=1G',
  '--innodb-buffer-pool-size=512M',
  '--innodb-redo-log-capacity=1G',
];

/** Rows as sysbench's oltp tables have them; two index updates, one delete and insert a transaction. */
const SCHEMA = [
  'CREATE DATABASE shop',
  'USE shop',
  ...Array.from(
    { length: TABLES },
    (_, i) => `CREATE TABLE sbtest${i} (id INT NOT NULL AUTO_INCREMENT, k INT NOT NULL DEFAULT 0,
      c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', PRIMARY KEY (id), KEY k_1 (k))`,
  ),
  `CREATE FUNCTION digits(n INT) RETURNS CHAR(120) NO SQL BEGIN
    DECLARE r VARCHAR(130) DEFAULT ''; DECLARE i INT DEFAULT 0;
    WHILE i < n DO SET r = CONCAT(r, IF(i = 0, '', '-'), LPAD(FLOOR(RAND() * 100000000000), 11, '0')); SET i = i + 1;
    END WHILE; RETURN r; END`,
  ...Array.from(
    { length: TABLES },
    (_, t) => `CREATE PROCEDURE oltp${t}(n INT) BEGIN
    DECLARE i INT DEFAULT 0; DECLARE u INT; DECLARE d INT; DECLARE v CHAR(120); DECLARE w CHAR(60);
    DECLARE CONTINUE HANDLER FOR SQLEXCEPTION ROLLBACK;
    WHILE i < n DO
      SET v = digits(10); SET w = digits(5); SET d = 1 + FLOOR(RAND() * ${ROWS});
      SET u = 1 + FLOOR(RAND() * ${ROWS});
      START TRANSACTION;
      UPDATE sbtest${t} SET k = k + 1 WHERE id = u;
      UPDATE sbtest${t} SET c = v WHERE id = d;
      DELETE FROM sbtest${t} WHERE id = d;
      INSERT INTO sbtest${t} (id, k, c, pad) VALUES (d, FLOOR(RAND() * ${ROWS}), v, w);
      COMMIT; SET i = i + 1;
    END WHILE; END`,
  ),
];

/** What the benchmark replays. */
export interface ReplayData {
  /** A stopped data folder from before the log, without binlogs and without auto.cnf. */
  readonly baseDir: string;
  readonly binlogPath: string;
  readonly binlogBytes: number;
  readonly serverUuid: string;
  /** gtid_executed of the base, and at the log's end. */
  readonly baseGtids: string;
  readonly finalGtids: string;
  /** CHECKSUM TABLE of every table at the log's end: `name checksum`. */
  readonly checksums: readonly string[];
}

/** Starts a server on a data folder with the given options; the socket lies beside the folder. */
export async function startOn(
  dir: string,
  serverId: number,
  options: readonly string[],
): Promise<RunningMysqld> {
  return startMysqld({
    dataDir: join(dir, 'data'),
    socket: join(dir, 's.sock'),
    port: null,
    serverId,
    options: [...options],
    logFile: join(dir, 'mysqld.log'),
  });
}

/** Connects as root without a password, as `--initialize-insecure` leaves it. */
export function connectRoot(server: RunningMysqld): Promise<MysqlSession> {
  return connectMysql({ socket: server.socket }, 'root', '');
}

/** CHECKSUM TABLE of the benchmark's tables. */
export async function checksums(session: MysqlSession): Promise<string[]> {
  const names = Array.from({ length: TABLES }, (_, i) => `shop.sbtest${i}`).join(', ');
  const rows = await session.query<{ Table: string; Checksum: string }>(`CHECKSUM TABLE ${names}`);
  return rows.map((row) => `${row.Table} ${row.Checksum}`);
}

async function gtidExecuted(session: MysqlSession): Promise<string> {
  const [row] = await session.query<{ g: string }>('SELECT @@GLOBAL.gtid_executed AS g');
  return row?.g ?? '';
}

async function fillTables(session: MysqlSession): Promise<void> {
  for (const sql of SCHEMA) await session.run(sql);
  await session.run('SET SESSION cte_max_recursion_depth = 1000000');
  for (let t = 0; t < TABLES; t += 1) {
    await session.run(`INSERT INTO sbtest${t} (k, c, pad)
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
      SELECT FLOOR(RAND() * ${ROWS}), digits(10), digits(5) FROM n`);
  }
}

async function writeUntil(server: RunningMysqld, path: string, minBytes: number): Promise<void> {
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => connectRoot(server)));
  try {
    while ((await stat(path)).size < minBytes) {
      await Promise.all(
        sessions.map((session, i) => session.run(`CALL shop.oltp${i % TABLES}(${TRANSACTIONS_PER_ROUND})`)),
      );
    }
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
  }
}

/** Generates base and log in a folder of the caller, who removes it. Takes about a minute for 200 MB. */
export async function generateReplayData(dir: string, minBytes: number): Promise<ReplayData> {
  const origin = join(dir, 'origin');
  const baseDir = join(dir, 'base');
  await mkdir(origin, { recursive: true });
  await initializeDataDir(await findTool('mysqld'), join(origin, 'data'));
  const before = await startOn(origin, 1, ORIGIN_OPTIONS);
  const filling = await connectRoot(before);
  await fillTables(filling);
  const baseGtids = await gtidExecuted(filling);
  await filling.close();
  await before.stop();
  await cp(join(origin, 'data'), baseDir, { recursive: true });
  for (const name of await readdir(baseDir)) {
    if (name.startsWith('binlog.') || name === 'auto.cnf') await rm(join(baseDir, name));
  }
  const server = await startOn(origin, 1, ORIGIN_OPTIONS);
  const session = await connectRoot(server);
  const [row] = await session.query<{ File: string }>('SHOW BINARY LOG STATUS');
  const binlogPath = join(origin, 'data', row?.File ?? '');
  await writeUntil(server, binlogPath, minBytes);
  await session.run('FLUSH BINARY LOGS');
  const data = {
    baseDir,
    binlogPath,
    binlogBytes: (await stat(binlogPath)).size,
    serverUuid: session.serverUuid,
    baseGtids,
    finalGtids: await gtidExecuted(session),
    checksums: await checksums(session),
  };
  await session.close();
  await server.stop();
  return data;
}
