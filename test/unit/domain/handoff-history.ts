import {
  type BoundaryAnswer,
  type BoundaryTransaction,
  foldBoundary,
} from '../../../src/domain/boundary-cut.ts';
import { parseGtid } from '../../../src/domain/gtid.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import {
  parseBackupId,
  parseBinlogName,
  parseServerUuid,
  parseSha256,
} from '../../../src/domain/identity.ts';
import type { Baseline, CatalogBackup, CatalogSegment, PlanFacts } from '../../../src/domain/plan-facts.ts';
import type { RestorePlan } from '../../../src/domain/restore-plan.ts';
import { boundaryQuestion, planRestore } from '../../../src/domain/restore-planner.ts';
import type { StoredObject } from '../../../src/domain/segment.ts';
import { parseTarget } from '../../../src/domain/target.ts';
import { parseInstant } from '../../../src/domain/time.ts';
import { FIRST_OFFSET, second } from './history.ts';

/** One server: all that it ever logged, in its own order, with its own times of commit. */
export interface LoggedServer {
  readonly uuid: string;
  readonly log: readonly { readonly gtid: string; readonly atSecond: number }[];
  /** So many of its first transactions came with a clone: no log of it holds them, nor PREVIOUS_GTIDS. */
  readonly cloned: number;
}

/** An archived log: a part of what a server logged. */
export interface ArchivedLog {
  readonly server: LoggedServer;
  readonly number: number;
  readonly from: number;
  readonly to: number;
}

/** A base backup, taken of a server at a place in one of the logs. */
export interface TakenBackup {
  readonly log: ArchivedLog;
  readonly executed: number;
}

export function binlogOf({ number }: ArchivedLog): string {
  return `binlog.${String(number).padStart(6, '0')}`;
}

/** What a server had executed before a place of its own order. */
export function executedAt({ log }: LoggedServer, place: number): string[] {
  return log.slice(0, place).map(({ gtid }) => gtid);
}

function setOf(gtids: readonly string[]): GtidSet {
  return GtidSet.of(...gtids.map(parseGtid));
}

function stored(key: string): StoredObject {
  const sha256 = parseSha256('a'.repeat(64));
  return { key, lengthBytes: 1000, sha256, crc32: '00000000', compression: 'zstd', encryption: 'none' };
}

/** True where every server logged `a` before `b`: then `b` may depend on it, and else not. */
export function isEarlier(servers: readonly LoggedServer[], a: string, b: string): boolean {
  const place = ({ log }: LoggedServer, wanted: string) => log.findIndex(({ gtid }) => gtid === wanted);
  return servers.every((server) => place(server, a) < place(server, b));
}

/**
 * Transactions that are applied before one which came earlier on every server.
 * @param held what is there before the first is sent
 */
export function misplaced(
  servers: readonly LoggedServer[],
  held: readonly string[],
  sent: readonly string[],
): string[] {
  const all = [...held, ...sent];
  return sent.filter((gtid, index) =>
    all.slice(held.length + index + 1).some((later) => isEarlier(servers, later, gtid)),
  );
}

/** The offset of a place in a log. */
export function offsetOf(log: ArchivedLog, place: number): number {
  return FIRST_OFFSET + (place - log.from) * 100;
}

function segmentOf(log: ArchivedLog, index: number): CatalogSegment {
  const own = log.server.log.slice(log.from, log.to);
  const times = own.map(({ atSecond }) => atSecond);
  const [first, last] = [times.at(0), times.at(-1)];
  const segment = {
    serverUuid: parseServerUuid(log.server.uuid),
    binlog: parseBinlogName(binlogOf(log)),
    serverVersion: '9.7.4',
    createdAt: second(0),
    previousGtids: setOf(executedAt(log.server, log.from).slice(log.server.cloned)).toString(),
    gtids: setOf(own.map(({ gtid }) => gtid)).toString(),
    transactions: own.length,
    anonymousTransactions: 0,
    firstCommit: first === undefined ? null : second(first),
    lastCommit: last === undefined ? null : second(last),
    maxCommit: times.length === 0 ? null : second(Math.max(...times)),
    clockInversions: 0,
    lengthBytes: offsetOf(log, log.to) + 44,
    sha256: parseSha256(index.toString(16).padStart(64, '0')),
    closedBy: 'rotate' as const,
    eventDdl: 0,
    xaPrepares: 0,
    temporaryTables: 0,
  };
  return { timeline: 1, segment, object: stored(String(index)), stores: ['main'] };
}

function backupOf({ log, executed }: TakenBackup, index: number): CatalogBackup {
  const backup = {
    backupId: parseBackupId(`20261120T100000Z-${index.toString(16).padStart(8, '0')}`),
    engine: 'clone' as const,
    serverUuid: parseServerUuid(log.server.uuid),
    serverVersion: '9.7.4',
    coordinates: {
      gtidExecuted: setOf(executedAt(log.server, executed)).toString(),
      gtidPurged: '',
      binlog: parseBinlogName(binlogOf(log)),
      position: offsetOf(log, executed),
    },
    startedAt: second(1000 + index),
    finishedAt: second(1000 + index),
    lowerCaseTableNames: 0,
    characterSetServer: 'utf8mb4',
    collationServer: 'utf8mb4_0900_ai_ci',
    dataBytes: 1_000_000,
    tarBytes: 1_000_000,
    tarSha256: parseSha256('b'.repeat(64)),
    preparedXa: [],
    schemaSha256: parseSha256('c'.repeat(64)),
    timeline: 1,
  };
  return { backup, object: stored(`backup-${index}`), stores: ['main'] };
}

/** A handoff where another server than that of the log before goes on. */
function baselines(logs: readonly ArchivedLog[]): Baseline[] {
  return logs.flatMap(({ server }, from) => {
    if (from === 0 || logs[from - 1]?.server === server) return [];
    const gtids = setOf(executedAt(server, server.cloned)).toString();
    return [{ timeline: 1, serverUuid: parseServerUuid(server.uuid), from, gtids }];
  });
}

/** The catalog of one timeline on which several servers were archived, one after the other. */
export function catalogOf(logs: readonly ArchivedLog[], backups: readonly TakenBackup[]): PlanFacts {
  return {
    repositoryId: 'r',
    cluster: 'shop',
    catalogSequence: logs.length,
    segments: logs.map(segmentOf),
    backups: backups.map(backupOf),
    baselines: baselines(logs),
  };
}

function transactionsOf(log: ArchivedLog): BoundaryTransaction[] {
  return log.server.log.slice(log.from, log.to).map(({ gtid, atSecond }, index) => ({
    gtid: parseGtid(gtid),
    startOffset: FIRST_OFFSET + index * 100,
    endOffset: FIRST_OFFSET + (index + 1) * 100,
    committedAtMicros: parseInstant(second(atSecond)),
  }));
}

/** Plans as a caller does: answers each question from the log's transactions. */
export function planOf(
  facts: PlanFacts,
  logs: readonly ArchivedLog[],
  target: string,
  skip: string,
): RestorePlan {
  const request = {
    target: parseTarget(target),
    targetText: target,
    skip: GtidSet.parse(skip),
    timeline: null,
  };
  const answers = new Map<number, BoundaryAnswer>();
  for (let asked = 0; asked < 50; asked += 1) {
    const question = boundaryQuestion(facts, request, answers);
    if (question.kind === 'answered') return planRestore(facts, request, answers);
    const log = logs[question.catalogIndex];
    if (log === undefined) throw new Error('it asks for a log that is not archived');
    const transactions = transactionsOf(log);
    const answer = foldBoundary(question.cut, transactions, question.skip, question.repeats);
    answers.set(question.catalogIndex, answer);
  }
  throw new Error('it asks for ever');
}
