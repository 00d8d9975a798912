import { createReadStream } from 'node:fs';
import { cp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { scanFile } from '../../src/binlog/scan.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { readBinaryLogs } from '../../src/mysql/facts.ts';
import { type Applier, type ApplierOptions, startApplier } from '../../src/replay/applier.ts';
import { type ArchiveSource, startArchiveSource } from '../../src/replay/archive-source.ts';
import { REPLAY_CHANNEL } from '../../src/replay/channel.ts';
import type { SourceSegment } from '../../src/replay/dump-plan.ts';
import type { ReplayProgress } from '../../src/replay/progress.ts';
import { type CutJudge, type Replayed, replayTo } from '../../src/replay/replay-to.ts';
import { planTuning } from '../../src/replay/tuning.ts';
import { type Applied, verifyApplied } from '../../src/replay/verify.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import type { TestMysql } from '../support/mysql.ts';

export const LOGIN = { user: 'replay', password: 'of this test: ä$' } as const;

/** All of these tests' data come back from a kill as of one moment. */
export const INNODB_ONLY: CutJudge = {
  serverEnded: async () => undefined,
  sourceEnded: async () => undefined,
  channelStopped: async () => undefined,
};

/** A data folder as a restore has it before the replay. */
export interface Base {
  readonly dataDir: string;
  readonly gtids: GtidSet;
}

/** Copies the server's data folder while it is down: no binlogs, and a server_uuid of its own. */
export async function takeBase(server: TestMysql, dataDir: string): Promise<Base> {
  const gtids = GtidSet.parse(await server.gtidExecuted());
  await server.shutdown();
  await cp(server.dataDir, dataDir, { recursive: true });
  for (const name of await readdir(dataDir)) {
    if (name.startsWith('binlog.') || name === 'auto.cnf') await rm(join(dataDir, name));
  }
  await server.start();
  return { dataDir, gtids };
}

/** Closes the open log and gives every closed one as a segment that sends all it has and the base has not. */
export async function segmentsOf(server: TestMysql, base: GtidSet): Promise<SourceSegment[]> {
  await server.run('FLUSH BINARY LOGS');
  const logs = await readBinaryLogs(server.root);
  const segments: SourceSegment[] = [];
  for (const { name } of logs.slice(0, -1)) {
    const segment = await segmentOf(join(server.binlogDir, name), server.serverUuid, name, base);
    if (!segment.send.isEmpty) segments.push(segment);
  }
  return segments;
}

/** One file as a segment. */
export async function segmentOf(
  path: string,
  serverUuid: string,
  binlog: string,
  base: GtidSet,
): Promise<SourceSegment> {
  const report = await scanFile(path);
  return {
    serverUuid,
    binlog,
    lengthBytes: (await stat(path)).size,
    send: report.gtids.subtract(base),
    open: (signal) => createReadStream(path, { highWaterMark: 64 * 1024, signal }),
  };
}

/** The transactions before a GTID in the order of the segments: the segments cut there. */
export function cutAt(
  segments: readonly SourceSegment[],
  order: readonly string[],
  wanted: number,
): { segments: SourceSegment[]; sent: GtidSet } {
  // The order of the log, not of the numbers, says what lies before.
  const sent = GtidSet.parse(order.slice(0, wanted).join(','));
  const cut = segments.map((segment) => ({ ...segment, send: segment.send.intersect(sent) }));
  return { segments: cut.filter((segment) => !segment.send.isEmpty), sent };
}

/** GTIDs in file order. */
export async function gtidOrder(server: TestMysql, segments: readonly SourceSegment[]): Promise<string[]> {
  const order: string[] = [];
  for (const { binlog } of segments) {
    const transaction = (fact: { gtid: { uuid: string; tag: string; number: bigint } | null }) => {
      if (fact.gtid === null) throw new Error('an anonymous transaction');
      const { uuid, tag, number } = fact.gtid;
      order.push(tag === '' ? `${uuid}:${number}` : `${uuid}:${tag}:${number}`);
    };
    await scanFile(join(server.binlogDir, binlog), { visitor: { transaction } });
  }
  return order;
}

export interface ReplayWith {
  readonly onProgress?: (progress: ReplayProgress) => void;
  /** Another way to the source, or another source. */
  readonly source?: ArchiveSource;
  readonly password?: string;
  readonly channel?: string;
  readonly signal?: AbortSignal;
}

/** A source of its own; the caller closes it. */
export function sourceOf(segments: readonly SourceSegment[]): Promise<ArchiveSource> {
  return startArchiveSource({
    segments,
    listen: { host: '127.0.0.1', port: 0 },
    ...LOGIN,
    onNotice: () => undefined,
  });
}

/** The source as it is reached through a proxy. */
export function reachedAt(source: ArchiveSource, port: number): ArchiveSource {
  return {
    host: '127.0.0.1',
    port,
    progress: () => source.progress(),
    failure: () => source.failure(),
    close: () => source.close(),
  };
}

export interface Rig {
  readonly folder: TestFolder;
  readonly source: ArchiveSource;
  readonly notices: string[];
  applier(): Applier;
  replay(expected: GtidSet, options?: ReplayWith): Promise<Replayed>;
  verify(expected: GtidSet): Promise<Applied>;
  query<T>(sql: string): Promise<T[]>;
  stop(): Promise<void>;
}

/** Options of an applier on a copy of the base. */
export async function applierOptions(
  folder: TestFolder,
  base: Base,
  extra: readonly string[] = [],
): Promise<ApplierOptions> {
  const dataDir = join(folder.path, 'data');
  await cp(base.dataDir, dataDir, { recursive: true });
  const tuning = planTuning({
    availableMemoryBytes: 512 * 1024 * 1024,
    cores: 2,
    dataBytes: 100 * 1024 * 1024,
    freeDiskBytes: 2 * 1024 ** 3,
    lowerCaseTableNames: 0,
  });
  return { dataDir, workDir: join(folder.path, 'work'), tuning, extraOptions: extra };
}

/** An archive source and an applier on a copy of the base. The applier reaches the source at `via`, where given. */
export async function startRig(
  base: Base,
  segments: readonly SourceSegment[],
  extra: readonly string[] = [],
): Promise<Rig> {
  const folder = await testFolder('pt-rp');
  const notices: string[] = [];
  const source = await startArchiveSource({
    segments,
    listen: { host: '127.0.0.1', port: 0 },
    ...LOGIN,
    onNotice: (notice) =>
      notices.push(notice.kind === 'dump-failed' ? `failed: ${notice.error.message}` : notice.kind),
  });
  let applier = await startApplier(await applierOptions(folder, base, extra));
  const withSession = async <T>(use: (session: Awaited<ReturnType<Applier['connect']>>) => Promise<T>) => {
    const session = await applier.connect();
    try {
      return await use(session);
    } finally {
      await session.close();
    }
  };
  return {
    folder,
    source,
    notices,
    applier: () => applier,
    async replay(expected, options = {}) {
      const replayed = await replayTo({
        applier,
        source: options.source ?? source,
        login: { ...LOGIN, password: options.password ?? LOGIN.password },
        channel: options.channel ?? REPLAY_CHANNEL,
        expected,
        format: 'rows-only',
        judge: INNODB_ONLY,
        stallMs: 6_000,
        onProgress: options.onProgress ?? (() => undefined),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      applier = replayed.applier;
      return replayed;
    },
    verify: (expected) => withSession((session) => verifyApplied(session, REPLAY_CHANNEL, expected)),
    query: (sql) => withSession((session) => session.query(sql)),
    async stop() {
      await source.close();
      await applier.server.kill();
      await folder.remove();
    },
  };
}
