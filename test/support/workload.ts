import { randomBytes } from 'node:crypto';
import { quoteName } from '../../src/mysql/facts.ts';
import type { MysqlSession } from '../../src/mysql/session.ts';
import type { TestMysql } from './mysql.ts';

/** The schema that every workload writes to. */
export const SHOP = 'shop';

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Creates customers, products, orders and order lines, with some rows. */
export async function createShop(server: TestMysql): Promise<void> {
  await server.run(
    `CREATE DATABASE IF NOT EXISTS ${SHOP}`,
    `CREATE TABLE ${SHOP}.customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(60) NOT NULL, city VARCHAR(40), balance DECIMAL(12,2) NOT NULL DEFAULT 0)`,
    `CREATE TABLE ${SHOP}.products (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(60) NOT NULL, stock INT NOT NULL, photo BLOB)`,
    `CREATE TABLE ${SHOP}.orders (id BIGINT PRIMARY KEY AUTO_INCREMENT, customer_id INT NOT NULL, placed_at DATETIME(6) NOT NULL, note TEXT, INDEX (customer_id))`,
    `CREATE TABLE ${SHOP}.order_lines (order_id BIGINT NOT NULL, line INT NOT NULL, product_id INT NOT NULL, quantity INT NOT NULL, PRIMARY KEY (order_id, line))`,
    `INSERT INTO ${SHOP}.customers (name, city) SELECT CONCAT('Customer ', n), ELT(1 + n % 4, 'Łódź', 'Köln', '東京', 'Quito') FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100) SELECT n FROM s) AS numbers`,
    `INSERT INTO ${SHOP}.products (name, stock, photo) SELECT CONCAT('Product ', n), 1000000, UNHEX(SHA2(n, 256)) FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 50) SELECT n FROM s) AS numbers`,
  );
}

/** One order: an insert, its lines and two updates, in one transaction. */
export async function placeOrder(session: MysqlSession, random: () => number): Promise<void> {
  const customer = 1 + Math.floor(random() * 100);
  const lines = 1 + Math.floor(random() * 4);
  await session.run('START TRANSACTION');
  await session.run(`INSERT INTO ${SHOP}.orders (customer_id, placed_at, note) VALUES (?, NOW(6), ?)`, [
    customer,
    `order of ${customer}: ${'x'.repeat(Math.floor(random() * 60))}`,
  ]);
  for (let line = 1; line <= lines; line += 1) {
    const product = 1 + Math.floor(random() * 50);
    await session.run(`INSERT INTO ${SHOP}.order_lines VALUES (LAST_INSERT_ID(), ?, ?, ?)`, [
      line,
      product,
      1,
    ]);
  }
  await session.run(`UPDATE ${SHOP}.customers SET balance = balance + ? WHERE id = ?`, [lines, customer]);
  await session.run('COMMIT');
}

export interface Workload {
  /** Orders committed and acknowledged so far. */
  orders(): number;
  /** Lets the orders under way finish. @throws the first error of any connection */
  stop(): Promise<number>;
}

/**
 * Keeps several connections placing orders until stopped. `pauseMs` between two orders of a connection
 * bounds the load.
 */
export async function startWorkload(
  server: TestMysql,
  options: { readonly connections?: number; readonly pauseMs?: number; readonly seed?: number } = {},
): Promise<Workload> {
  const { connections = 3, pauseMs = 2, seed = 1 } = options;
  let running = true;
  let orders = 0;
  const loop = async (session: MysqlSession, random: () => number) => {
    while (running) {
      await placeOrder(session, random);
      orders += 1;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const sessions = await Promise.all(Array.from({ length: connections }, () => server.connect()));
  const loops = Promise.allSettled(
    sessions.map((session, index) =>
      loop(session, randomNumbers(seed + index)).finally(() => session.close()),
    ),
  );
  return {
    orders: () => orders,
    async stop() {
      running = false;
      for (const result of await loops) if (result.status === 'rejected') throw result.reason;
      return orders;
    },
  };
}

/** Places a number of orders on one connection: the same transactions for the same seed. */
export async function placeOrders(server: TestMysql, count: number, seed = 1): Promise<void> {
  const random = randomNumbers(seed);
  for (let i = 0; i < count; i += 1) await placeOrder(server.root, random);
}

/** DDL of many kinds, between rows: tables, indexes, views, routines, triggers, events, users, atomic CREATE … SELECT. */
export async function runDdlMix(server: TestMysql, name = 'mix'): Promise<void> {
  const table = `${SHOP}.${quoteName(name)}`;
  await server.run(
    `CREATE TABLE ${table} (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(30) CHARACTER SET latin1, data JSON)`,
    `INSERT INTO ${table} (text, data) VALUES ('a', '{"k": 1}'), ('b', NULL), (_latin1 0xE4F6FC, '[]')`,
    `ALTER TABLE ${table} ADD COLUMN added INT NOT NULL DEFAULT 7, ADD INDEX (text)`,
    `CREATE TABLE ${SHOP}.${quoteName(`${name}_copy`)} AS SELECT * FROM ${table}`,
    `CREATE VIEW ${SHOP}.${quoteName(`${name}_view`)} AS SELECT id, text FROM ${table}`,
    `CREATE TRIGGER ${SHOP}.${quoteName(`${name}_trigger`)} BEFORE UPDATE ON ${table} FOR EACH ROW SET NEW.added = OLD.added + 1`,
    `CREATE PROCEDURE ${SHOP}.${quoteName(`${name}_touch`)} () UPDATE ${table} SET text = 'touched' WHERE id = 1`,
    `CALL ${SHOP}.${quoteName(`${name}_touch`)}()`,
    `CREATE EVENT ${SHOP}.${quoteName(`${name}_on`)} ON SCHEDULE EVERY 1 DAY DO DELETE FROM ${table}`,
    `CREATE EVENT ${SHOP}.${quoteName(`${name}_off`)} ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM ${table}`,
    `RENAME TABLE ${SHOP}.${quoteName(`${name}_copy`)} TO ${SHOP}.${quoteName(`${name}_old`)}`,
    `TRUNCATE TABLE ${SHOP}.${quoteName(`${name}_old`)}`,
    `DROP TABLE ${SHOP}.${quoteName(`${name}_old`)}`,
  );
}

/** Transactions under `uuid:tag:N`, as AUTOMATIC:tag gives them. */
export async function placeTaggedOrders(server: TestMysql, tag: string, count: number): Promise<void> {
  const session = await server.connect();
  const random = randomNumbers(count);
  await session.run(`SET gtid_next = 'AUTOMATIC:${tag}'`);
  for (let i = 0; i < count; i += 1) await placeOrder(session, random);
  await session.close();
}

/** How an XA transaction of the workload ends. */
export type XaEnd = 'commit' | 'rollback' | 'left-prepared';

/** One XA transaction on a connection of its own: prepared first, then ended, or not. */
export async function runXa(server: TestMysql, name: string, end: XaEnd): Promise<void> {
  const session = await server.connect();
  await session.run(`XA START '${name}'`);
  await session.run(
    `INSERT INTO ${SHOP}.orders (customer_id, placed_at, note) VALUES (1, NOW(6), 'xa ${name}')`,
  );
  await session.run(`XA END '${name}'`);
  await session.run(`XA PREPARE '${name}'`);
  if (end === 'commit') await session.run(`XA COMMIT '${name}'`);
  if (end === 'rollback') await session.run(`XA ROLLBACK '${name}'`);
  await session.close();
}

/** CHECKSUM TABLE of every table of the user's schemas, by name: equal where two servers hold the same rows. */
export async function tableChecksums(server: {
  query<T>(sql: string): Promise<T[]>;
}): Promise<Record<string, string>> {
  const tables = await server.query<{ schemaName: string; tableName: string }>(
    `SELECT TABLE_SCHEMA AS schemaName, TABLE_NAME AS tableName FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'
     AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema') ORDER BY 1, 2`,
  );
  const sums: Record<string, string> = {};
  for (const { schemaName, tableName } of tables) {
    const name = `${quoteName(schemaName)}.${quoteName(tableName)}`;
    const [row] = await server.query<{ Checksum: string | null }>(`CHECKSUM TABLE ${name}`);
    sums[`${schemaName}.${tableName}`] = String(row?.Checksum ?? 'missing');
  }
  return sums;
}

/** Bytes of one row of noise. */
const NOISE_ROW_BYTES = 4 * 1024 * 1024;

/** Adds rows to `d.t` that hardly compress, in transactions of 4 MiB. */
export async function addNoise(server: TestMysql, mebibytes: number): Promise<void> {
  for (let added = 0; added < mebibytes * 1024 * 1024; added += NOISE_ROW_BYTES) {
    const noise = randomBytes((NOISE_ROW_BYTES / 4) * 3).toString('base64');
    await server.run(`INSERT INTO d.t (v) VALUES ('${noise}')`);
  }
}
