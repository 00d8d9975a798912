import { startTestMysql, type TestMysql, type TestMysqlOptions } from './mysql.ts';
import { createUser } from './mysql-users.ts';

/** Where the replica's applier stops: never, or just before a transaction. */
export type ReplicaUntil = 'running' | { readonly before: string };

export interface TestReplica extends TestMysql {
  /** Waits until a GTID set is applied. @throws where that takes longer than a minute */
  waitFor(gtidSet: string): Promise<void>;
  /** Waits until everything that the source has now is applied. */
  catchUp(): Promise<void>;
  /** Waits until the applier has stopped at its `until`. */
  waitForStop(): Promise<void>;
}

const WAIT_SECONDS = 60;
let replicas = 0;

/**
 * Starts a replica that applies all of the source's binlogs from the first on; the truth that a restore is
 * compared with. With `until: { before: gtid }` it stops exactly before that transaction.
 */
export async function startTestReplica(
  source: TestMysql,
  options: TestMysqlOptions & { readonly until?: ReplicaUntil } = {},
): Promise<TestReplica> {
  replicas += 1;
  const { user, password } = await createUser(source, `replica${replicas}`, ['REPLICATION SLAVE']);
  const replica = await startTestMysql(options);
  const until = options.until ?? 'running';
  await replica.run(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${source.port}, SOURCE_USER = '${user}',
     SOURCE_PASSWORD = '${password}', SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 0, GET_SOURCE_PUBLIC_KEY = 1,
     SOURCE_CONNECT_RETRY = 1`,
    until === 'running' ? 'START REPLICA' : `START REPLICA UNTIL SQL_BEFORE_GTIDS = '${until.before}'`,
  );
  const waitFor = async (gtidSet: string) => {
    const sql = `SELECT WAIT_FOR_EXECUTED_GTID_SET('${gtidSet}', ${WAIT_SECONDS}) AS timedOut`;
    const [row] = await replica.query<{ timedOut: number | string }>(sql);
    if (Number(row?.timedOut) !== 0)
      throw new Error(`the replica did not apply ${gtidSet}: ${await problem(replica)}`);
  };
  // The properties stay accessors: pid and session change with a restart.
  return Object.defineProperties(Object.create(replica), {
    waitFor: { value: waitFor },
    catchUp: { value: async () => waitFor(await source.gtidExecuted()) },
    waitForStop: { value: () => waitForStop(replica) },
  }) as TestReplica;
}

async function waitForStop(replica: TestMysql): Promise<void> {
  const deadline = Date.now() + WAIT_SECONDS * 1000;
  while (Date.now() < deadline) {
    const [row] = await replica.query<Record<string, string>>('SHOW REPLICA STATUS');
    if (row?.['Replica_SQL_Running'] === 'No') return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the replica's applier did not stop: ${await problem(replica)}`);
}

async function problem(replica: TestMysql): Promise<string> {
  const [row] = await replica.query<Record<string, string>>('SHOW REPLICA STATUS');
  return `${row?.['Last_IO_Error'] ?? ''} ${row?.['Last_SQL_Error'] ?? ''}`.trim();
}
