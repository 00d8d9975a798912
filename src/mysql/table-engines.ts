import { type ForeignEngineTable, quoteName } from './facts.ts';
import type { MysqlSession } from './session.ts';

/**
 * Tables whose changes are not undone where their transaction is not committed, in any schema but the
 * server's views of itself. BLACKHOLE keeps no rows, and the server's two log tables are not replicated.
 */
export async function readNonTransactionalTables(session: MysqlSession): Promise<ForeignEngineTable[]> {
  return session.query<ForeignEngineTable>(
    `SELECT t.TABLE_SCHEMA AS \`schema\`, t.TABLE_NAME AS \`table\`, COALESCE(t.ENGINE, 'unknown') AS engine
     FROM information_schema.TABLES AS t LEFT JOIN information_schema.ENGINES AS e ON e.ENGINE = t.ENGINE
     WHERE t.TABLE_TYPE = 'BASE TABLE' AND COALESCE(e.TRANSACTIONS, 'NO') <> 'YES'
       AND COALESCE(t.ENGINE, '') <> 'BLACKHOLE'
       AND t.TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema')
       AND NOT (t.TABLE_SCHEMA = 'mysql' AND t.TABLE_NAME IN ('general_log', 'slow_log'))
     ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME`,
  );
}

/** MEMORY tables that hold rows, which a stop of the server loses. */
export async function readMemoryTablesWithRows(session: MysqlSession): Promise<ForeignEngineTable[]> {
  const tables: ForeignEngineTable[] = [];
  for (const found of await readNonTransactionalTables(session)) {
    if (found.engine !== 'MEMORY') continue;
    const rows = await session.query(
      `SELECT 1 FROM ${quoteName(found.schema)}.${quoteName(found.table)} LIMIT 1`,
    );
    if (rows.length > 0) tables.push(found);
  }
  return tables;
}
