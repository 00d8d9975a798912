/** Five ways to bring a base to the end of one log, each with its own copy of the base, all checked for the same rows. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { copyFile, cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { readGtidExecuted } from '../../src/mysql/facts.ts';
import type { MysqlSession } from '../../src/mysql/session.ts';
import type { RunningMysqld } from '../../src/process/mysqld.ts';
import { findTool, type Tool } from '../../src/process/tools.ts';
import { type ArchiveSource, startArchiveSource } from '../../src/replay/archive-source.ts';
import { type ChannelFormat, configureChannel, startChannel } from '../../src/replay/channel.ts';
import { planTuning } from '../../src/replay/tuning.ts';
import { median, peakRssBytes, type Ratio, ratioOf } from './measure.ts';
import { checksums, connectRoot, type ReplayData, startOn } from './replay-data.ts';

const ROUNDS = 3;
const WORKERS = 4;
const POLL_MS = 20;
const LOGIN = { user: 'bench', password: 'not a secret' } as const;

/** A replica as it comes, with what any replica needs. */
const DEFAULT_REPLICA = [
  '--gtid-mode=ON',
  '--enforce-gtid-consistency=ON',
  '--log-bin=binlog',
  '--relay-log=relay',
  '--skip-replica-start',
];

/** The settings that (a), (b) and (c) share, so that only the way differs. */
const COMMON = [
  ...DEFAULT_REPLICA,
  `--replica-parallel-workers=${WORKERS}`,
  '--innodb-buffer-pool-size=2G',
  '--innodb-redo-log-capacity=2G',
];

export type ReplayWay = 'mysqlbinlog' | 'relayLog' | 'archiveSource' | 'tunedApplier' | 'defaultReplica';

export interface ReplayFigures {
  /** How many times as long `mysqlbinlog | mysql` takes as the archive source, at the same settings. */
  readonly vsMysqlbinlog: Ratio;
  /** How many times as long the archive source takes as the same log as a relay log, at the same settings. */
  readonly vsRelayLog: Ratio;
  /** How many times as long the tuned applier takes as a replica with default settings. */
  readonly tunedVsDefaultReplica: Ratio;
  /** Medians. */
  readonly seconds: Readonly<Record<ReplayWay, number>>;
  /** Peak of this process, which is the archive source and its test. */
  readonly rssBytes: number;
}

/** Measures the five ways by turns. Takes many minutes. */
export async function benchReplay(data: ReplayData, rounds = ROUNDS): Promise<ReplayFigures> {
  const ways = Object.keys(WAYS) as ReplayWay[];
  const times = Object.fromEntries(ways.map((way) => [way, [] as number[]])) as Record<ReplayWay, number[]>;
  for (let round = 0; round < rounds; round += 1) {
    for (const way of round % 2 === 0 ? ways : ways.toReversed())
      times[way].push(await timeReplay(way, data));
  }
  const seconds = Object.fromEntries(ways.map((way) => [way, median(times[way])])) as Record<
    ReplayWay,
    number
  >;
  return {
    vsMysqlbinlog: ratioOf(times.mysqlbinlog, times.archiveSource),
    vsRelayLog: ratioOf(times.archiveSource, times.relayLog),
    tunedVsDefaultReplica: ratioOf(times.tunedApplier, times.defaultReplica),
    seconds,
    rssBytes: peakRssBytes(),
  };
}

/** Replays once in a fresh folder and gives the seconds from the start of the replay to the last transaction. */
export async function timeReplay(way: ReplayWay, data: ReplayData): Promise<number> {
  const dir = join(dirname(data.baseDir), 'replay');
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir);
  await cp(data.baseDir, join(dir, 'data'), { recursive: true });
  const { options, replay, before } = WAYS[way];
  await before(dir, data);
  const server = await startOn(dir, 999, await options(data));
  try {
    const session = await connectRoot(server);
    const startedAt = performance.now();
    await replay(server, session, data);
    await untilApplied(session, data);
    const seconds = (performance.now() - startedAt) / 1000;
    await requireSameRows(way, session, data);
    await session.close();
    return seconds;
  } finally {
    await server.kill();
    await closeSources();
    await rm(dir, { recursive: true, force: true });
  }
}

interface Way {
  readonly options: (data: ReplayData) => Promise<readonly string[]>;
  /** What lies ready before the clock starts. */
  readonly before: (dir: string, data: ReplayData) => Promise<void>;
  readonly replay: (server: RunningMysqld, session: MysqlSession, data: ReplayData) => Promise<void>;
}

const nothing = async () => undefined;
const common = async () => COMMON;

const WAYS: Readonly<Record<ReplayWay, Way>> = {
  mysqlbinlog: { options: common, before: nothing, replay: pipe },
  relayLog: { options: common, before: placeRelayLog, replay: applyRelayLog },
  archiveSource: { options: common, before: nothing, replay: asReplica },
  tunedApplier: { options: tuned, before: nothing, replay: asApplier },
  defaultReplica: { options: async () => DEFAULT_REPLICA, before: nothing, replay: asReplica },
};

async function tuned(data: ReplayData): Promise<readonly string[]> {
  const tuning = planTuning({
    availableMemoryBytes: process.availableMemory(),
    cores: 2,
    dataBytes: data.binlogBytes,
    freeDiskBytes: 50 * 1024 ** 3,
    lowerCaseTableNames: 0,
  });
  return [...tuning.options, '--relay-log=relay'];
}

async function pipe(server: RunningMysqld, _session: MysqlSession, data: ReplayData): Promise<void> {
  const read = start(
    await findTool('mysqlbinlog'),
    ['--no-defaults', data.binlogPath],
    ['ignore', 'pipe', 'inherit'],
  );
  const write = start(
    await findTool('mysql'),
    ['--no-defaults', '--binary-mode', '-uroot', '-S', server.socket],
    ['pipe', 'ignore', 'inherit'],
  );
  if (read.stdout === null || write.stdin === null) throw new Error('a pipe has no end');
  read.stdout.pipe(write.stdin);
  const [[readCode], [writeCode]] = await Promise.all([once(read, 'exit'), once(write, 'exit')]);
  if (readCode !== 0 || writeCode !== 0)
    throw new Error(`mysqlbinlog ended with ${readCode}, mysql with ${writeCode}`);
}

function start(tool: Tool, args: readonly string[], stdio: ('ignore' | 'pipe' | 'inherit')[]): ChildProcess {
  return spawn(tool.program, [...tool.args, ...args], { stdio });
}

async function placeRelayLog(dir: string, data: ReplayData): Promise<void> {
  await copyFile(data.binlogPath, join(dir, 'data', 'relay.000001'));
  await writeFile(join(dir, 'data', 'relay.index'), './relay.000001\n');
}

async function applyRelayLog(_server: RunningMysqld, session: MysqlSession): Promise<void> {
  await session.run(
    "CHANGE REPLICATION SOURCE TO RELAY_LOG_FILE = 'relay.000001', RELAY_LOG_POS = 4, SOURCE_HOST = 'none'",
  );
  await session.run('START REPLICA SQL_THREAD');
}

function asReplica(_server: RunningMysqld, session: MysqlSession, data: ReplayData): Promise<void> {
  return applyFromSource(session, data, 'any');
}

/** As `replayTo` does where all is rows. */
function asApplier(_server: RunningMysqld, session: MysqlSession, data: ReplayData): Promise<void> {
  return applyFromSource(session, data, 'rows-only');
}

const sources = new Set<ArchiveSource>();

async function closeSources(): Promise<void> {
  for (const source of sources) await source.close();
  sources.clear();
}

async function applyFromSource(
  session: MysqlSession,
  data: ReplayData,
  format: ChannelFormat,
): Promise<void> {
  const source = await startArchiveSource({
    segments: [
      {
        serverUuid: data.serverUuid,
        binlog: 'binlog.000002',
        lengthBytes: data.binlogBytes,
        send: GtidSet.parse(data.finalGtids).subtract(GtidSet.parse(data.baseGtids)),
        open: (signal) => createReadStream(data.binlogPath, { highWaterMark: 256 * 1024, signal }),
      },
    ],
    listen: { host: '127.0.0.1', port: 0 },
    ...LOGIN,
    onNotice: () => undefined,
  });
  sources.add(source);
  const { host, port } = source;
  await configureChannel(session, '', { host, port, ...LOGIN }, format);
  await startChannel(session, '');
}

async function untilApplied(session: MysqlSession, data: ReplayData): Promise<void> {
  const wanted = GtidSet.parse(data.finalGtids);
  while (!wanted.isSubsetOf(GtidSet.parse(await readGtidExecuted(session)))) {
    const [row] = await session.query<Record<string, string>>('SHOW REPLICA STATUS');
    const error = `${row?.['Last_IO_Error'] ?? ''}${row?.['Last_SQL_Error'] ?? ''}`;
    if (error !== '') throw new Error(`the replica stopped: ${error}`);
    await sleep(POLL_MS);
  }
}

async function requireSameRows(way: ReplayWay, session: MysqlSession, data: ReplayData): Promise<void> {
  const rows = await checksums(session);
  if (rows.join() !== data.checksums.join()) throw new Error(`${way} gave other rows: ${rows.join()}`);
}
