import type { MysqlSession } from '../../mysql/session.ts';

/** Tables of the shop, in the order in which they are compared. */
export const SHOP_TABLES = ['customers', 'orders', 'order_items', 'visits'] as const;

const CUSTOMERS = 500;
/** ER_NO_SUCH_TABLE: what a client meets after the accident; the shop goes on without that table. */
const NO_SUCH_TABLE = 1146;

/** Creates the shop: customers, and empty orders, order items and visits. */
export async function createShop(root: MysqlSession): Promise<void> {
  await root.run('CREATE DATABASE shop');
  await root.run('CREATE TABLE shop.customers (id INT PRIMARY KEY, name VARCHAR(60), spent BIGINT NOT NULL)');
  await root.run(
    'CREATE TABLE shop.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, total INT NOT NULL, placed_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6), KEY (customer))',
  );
  await root.run(
    'CREATE TABLE shop.order_items (id BIGINT AUTO_INCREMENT PRIMARY KEY, order_id BIGINT NOT NULL, sku VARCHAR(20), quantity INT, KEY (order_id))',
  );
  await root.run(
    'CREATE TABLE shop.visits (id BIGINT AUTO_INCREMENT PRIMARY KEY, customer INT, page VARCHAR(80), KEY (customer))',
  );
  const rows = Array.from({ length: CUSTOMERS }, (_, at) => `(${at + 1}, 'customer ${at + 1}', 0)`);
  await root.run(`INSERT INTO shop.customers VALUES ${rows.join(', ')}`);
}

/** Customers who order and look around until told to stop. */
export interface Traffic {
  /** Transactions committed so far. */
  committed(): number;
  /** Rejects with the first error that a connection meets; never resolves. */
  readonly failed: Promise<never>;
  /** Lets every connection finish its transaction, then closes it. @throws what a connection met */
  stop(): Promise<void>;
}

/** Starts traffic on the given sessions; each is closed by `stop`. */
export function startTraffic(sessions: readonly MysqlSession[]): Traffic {
  let stopping = false;
  let committed = 0;
  const run = async (session: MysqlSession, lane: number): Promise<void> => {
    for (let turn = 0; !stopping; turn += 1) {
      await (turn % 3 === 2 ? visit(session, lane, turn) : order(session, lane, turn));
      committed += 1;
    }
  };
  const lanes = sessions.map((session, lane) => run(session, lane).finally(() => session.close()));
  const all = Promise.allSettled(lanes);
  const failed = new Promise<never>((_, reject) => {
    for (const lane of lanes) lane.catch(reject);
  });
  // Who waits hears of it; where nobody waits, `stop` throws it.
  failed.catch(() => undefined);
  return {
    committed: () => committed,
    failed,
    async stop() {
      stopping = true;
      await all;
      await Promise.all(lanes);
    },
  };
}

async function order(session: MysqlSession, lane: number, turn: number): Promise<void> {
  const customer = ((turn * 31 + lane * 97) % CUSTOMERS) + 1;
  const total = 100 + ((turn * 17) % 900);
  await session.run('BEGIN');
  await session.run('INSERT INTO shop.orders (customer, total) VALUES (?, ?)', [customer, total]);
  await tolerant(
    session,
    'INSERT INTO shop.order_items (order_id, sku, quantity) VALUES (LAST_INSERT_ID(), ?, ?)',
    [`sku-${turn % 1000}`, 1 + (turn % 5)],
  );
  await session.run('UPDATE shop.customers SET spent = spent + ? WHERE id = ?', [total, customer]);
  await session.run('COMMIT');
}

async function visit(session: MysqlSession, lane: number, turn: number): Promise<void> {
  const customer = ((turn * 13 + lane * 41) % CUSTOMERS) + 1;
  await session.run('INSERT INTO shop.visits (customer, page) VALUES (?, ?)', [
    customer,
    `/page/${turn % 200}`,
  ]);
}

async function tolerant(
  session: MysqlSession,
  sql: string,
  parameters: readonly (string | number)[],
): Promise<void> {
  try {
    await session.run(sql, parameters);
  } catch (error) {
    if (errno(error) !== NO_SUCH_TABLE) throw error;
  }
}

function errno(error: unknown): number | null {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('errno' in at && typeof at.errno === 'number') return at.errno;
  }
  return null;
}
