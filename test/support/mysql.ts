import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectMysql, type MysqlEndpoint, type MysqlSession } from '../../src/mysql/session.ts';
import { type RunningMysqld, startMysqld } from '../../src/process/mysqld.ts';
import { findTool, type Tool } from '../../src/process/tools.ts';
import { testFolder } from './folder.ts';
import { copyTemplate, TEMPLATE_OPTIONS } from './mysql-template.ts';
import { freePort } from './ports.ts';

export interface TestMysqlOptions {
  /** Further options; a later one wins over the defaults: `['--binlog-format=STATEMENT']`. */
  readonly options?: readonly string[];
  readonly serverId?: number;
  /** A data folder of the test's own (restored, cloned) instead of a fresh one; `stop` leaves it alone. */
  readonly dataDir?: string;
  /** The server program; default: the one that is found. */
  readonly tool?: Tool;
}

/** A real server in a folder of its own. GTIDs on, row format, small buffers, root without a password on the socket. */
export interface TestMysql {
  readonly dir: string;
  readonly dataDir: string;
  /** The binlogs lie in the data folder as `binlog.000001` and so on. */
  readonly binlogDir: string;
  readonly socket: string;
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly serverId: number;
  readonly logFile: string;
  /** By the socket. */
  readonly endpoint: MysqlEndpoint;
  /** By the loopback port, without TLS. */
  readonly tcp: MysqlEndpoint;
  /** Of the server that runs now. */
  readonly pid: number;
  readonly serverUuid: string;
  /** Root's session; a new one after each start. */
  readonly root: MysqlSession;
  query<T = Record<string, unknown>>(sql: string): Promise<T[]>;
  /** Runs statements as root, one after the other. */
  run(...statements: readonly string[]): Promise<void>;
  /** A further session, root's by default. The caller closes it; a shutdown waits for nobody. */
  connect(user?: string, password?: string): Promise<MysqlSession>;
  gtidExecuted(): Promise<string>;
  /** Clean shutdown; the files stay. */
  shutdown(): Promise<void>;
  /** SIGKILL; the files stay as they are. */
  kill(): Promise<void>;
  /** Starts again after `shutdown` or `kill`, with more options if wanted. */
  start(options?: readonly string[]): Promise<void>;
  errorLog(): Promise<string>;
  /** Ends the server at once and removes its folder. */
  stop(): Promise<void>;
}

const DEFAULTS = [
  ...TEMPLATE_OPTIONS,
  '--gtid-mode=ON',
  '--enforce-gtid-consistency=ON',
  '--log-bin=binlog',
  '--innodb-buffer-pool-size=48M',
  '--innodb-flush-log-at-trx-commit=2',
  '--sync-binlog=0',
  '--skip-name-resolve',
  '--max-connections=60',
  '--table-open-cache=200',
  '--default-time-zone=+00:00',
  '--plugin-load-add=mysql_clone.so',
  '--relay-log=relay',
] as const;

/** Starts a server; takes about two seconds. */
export async function startTestMysql(options: TestMysqlOptions = {}): Promise<TestMysql> {
  const folder = await testFolder('pt-mysql');
  const dir = folder.path;
  const dataDir = options.dataDir ?? join(dir, 'data');
  const found = await findTool('mysqld');
  const tool = options.tool ?? found;
  if (options.dataDir === undefined) await copyTemplate(found, dataDir);
  const serverId = options.serverId ?? randomInt(1, 2 ** 31);
  const port = await freePort();
  const socket = join(dir, 's');
  const logFile = join(dir, 'error.log');
  const sessions = new Set<MysqlSession>();
  let current: Live | null = null;

  const live = (): Live => {
    if (current === null) throw new Error('the test server is down');
    return current;
  };
  const connect = async (user = 'root', password = '') => {
    const session = await connectMysql({ socket }, user, password);
    sessions.add(session);
    return session;
  };
  const start = async (more: readonly string[] = []) => {
    const all = [...DEFAULTS, ...(options.options ?? []), ...more];
    const server = await startMysqld({ tool, dataDir, socket, port, serverId, logFile, options: all });
    current = { server, root: await connect() };
  };
  const end = async (how: 'shutdown' | 'kill') => {
    if (current === null) return;
    // Open sessions would hold a shutdown up for seconds.
    await Promise.all([...sessions].map((session) => session.close()));
    sessions.clear();
    const { server } = current;
    current = null;
    await (how === 'shutdown' ? server.stop() : server.kill());
  };

  await start();
  return {
    dir,
    dataDir,
    binlogDir: dataDir,
    socket,
    host: '127.0.0.1',
    port,
    serverId,
    logFile,
    endpoint: { socket },
    tcp: { host: '127.0.0.1', port, tls: 'off' },
    get pid() {
      return live().server.pid;
    },
    get serverUuid() {
      return live().root.serverUuid;
    },
    get root() {
      return live().root;
    },
    query: <T>(sql: string) => live().root.query<T>(sql),
    async run(...statements) {
      for (const statement of statements) await live().root.run(statement);
    },
    connect,
    async gtidExecuted() {
      const [row] = await live().root.query<{ set: string }>('SELECT @@GLOBAL.gtid_executed AS `set`');
      return (row?.set ?? '').replaceAll(/\s/g, '');
    },
    shutdown: () => end('shutdown'),
    kill: async () => {
      // Killed first: what a session sends on closing would no longer be a crash.
      current?.server && (await current.server.kill());
      await end('kill');
    },
    start,
    errorLog: () => readFile(logFile, 'utf8'),
    async stop() {
      await end('kill');
      await folder.remove();
    },
  };
}

interface Live {
  readonly server: RunningMysqld;
  readonly root: MysqlSession;
}
