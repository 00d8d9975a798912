import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../domain/errors.ts';
import { readGtidExecuted } from '../../mysql/facts.ts';
import type { MysqlSession } from '../../mysql/session.ts';
import type { RestoreDocument } from './documents.ts';
import { SHOP_TABLES } from './shop.ts';
import { SERVER_OPTIONS, type ShopServer, type Started, startShopServer } from './world.ts';

const TIMEOUT_MS = 120_000;
const POLL_MS = 100;

/** CHECKSUM TABLE of every table of the shop; null where the table is absent. */
export type Checksums = ReadonlyMap<string, string | null>;

/**
 * Builds the truth without pitrail: a replica that applies the server's own binlogs from the first on, and
 * that MySQL itself stops just before a transaction.
 */
export async function replicaStoppedBefore(
  started: Started,
  dir: string,
  primary: ShopServer,
  gtid: string,
): Promise<ShopServer> {
  const replica = await startShopServer(started, { dir, name: 'truth', serverId: 3 });
  const password = randomBytes(12).toString('base64url');
  // Not logged: the accident's neighbours must not move.
  await primary.root.run('SET SESSION sql_log_bin = OFF');
  await primary.root.run("CREATE USER 'truth'@'%' IDENTIFIED BY ?", [password]);
  await primary.root.run("GRANT REPLICATION SLAVE ON *.* TO 'truth'@'%'");
  await primary.root.run('SET SESSION sql_log_bin = ON');
  await replica.root.run(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${primary.port}, SOURCE_USER = 'truth',
     SOURCE_PASSWORD = ?, SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 0, GET_SOURCE_PUBLIC_KEY = 1`,
    [password],
  );
  await replica.root.run(`START REPLICA UNTIL SQL_BEFORE_GTIDS = '${gtid}'`);
  await untilApplierStopped(replica.root);
  return replica;
}

async function untilApplierStopped(root: MysqlSession): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (performance.now() < deadline) {
    const [status] = await root.query<Record<string, string>>('SHOW REPLICA STATUS');
    const error = `${status?.['Last_IO_Error'] ?? ''} ${status?.['Last_SQL_Error'] ?? ''}`.trim();
    if (error !== '') throw truthFailed(error);
    if (status?.['Replica_SQL_Running'] === 'No') return;
    await sleep(POLL_MS);
  }
  throw truthFailed(`it did not arrive within ${TIMEOUT_MS / 1000} s`);
}

function truthFailed(why: string): AppError {
  return new AppError({
    code: 'TruthFailed',
    kind: 'unavailable',
    message: `The replica that tells the truth failed, so the restore cannot be compared: ${why}.`,
  });
}

/** Reads the checksums of the shop's tables. */
async function checksums(root: MysqlSession): Promise<Checksums> {
  const tables = SHOP_TABLES.map((table) => `shop.${table}`);
  const rows = await root.query<{ Table: string; Checksum: string | number | null }>(
    `CHECKSUM TABLE ${tables.join(', ')}`,
  );
  return new Map(rows.map(({ Table, Checksum }) => [Table, Checksum === null ? null : String(Checksum)]));
}

/** How many rows each table of the shop has. */
export async function rowCounts(root: MysqlSession): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const table of SHOP_TABLES) {
    const [row] = await root.query<{ n: string | number }>(`SELECT COUNT(*) AS n FROM shop.${table}`);
    counts.set(`shop.${table}`, Number(row?.n ?? 0));
  }
  return counts;
}

/**
 * Starts the server that a restore handed over, and compares it: every table of the shop with the truth,
 * `gtid_executed` with what the restore said.
 * @throws corrupt `QuickstartMismatch`
 */
export async function startRestored(
  started: Started,
  where: { readonly dir: string; readonly dataDir: string },
  truth: MysqlSession,
  restored: RestoreDocument,
): Promise<{ readonly server: ShopServer; readonly checksums: Checksums }> {
  const server = await startShopServer(
    started,
    { ...where, name: 'restored-server', serverId: 4 },
    SERVER_OPTIONS,
  );
  const [wanted, found] = [await checksums(truth), await checksums(server.root)];
  const executed = await readGtidExecuted(server.root);
  const differing = SHOP_TABLES.map((table) => `shop.${table}`).filter(
    (table) => wanted.get(table) === null || wanted.get(table) !== found.get(table),
  );
  if (differing.length > 0 || executed !== restored.gtidExecuted) throw mismatch(differing, executed);
  return { server, checksums: found };
}

/** A restored server that is not what it must be. */
export function mismatch(differing: readonly string[], executed: string): AppError {
  return new AppError({
    code: 'QuickstartMismatch',
    kind: 'corrupt',
    message: `The restored server differs from the truth in ${differing.join(', ') || 'its GTIDs'}: this restore cannot be trusted.`,
    facts: { differing, executed },
  });
}
