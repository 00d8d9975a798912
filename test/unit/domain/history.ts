import {
  type BoundaryAnswer,
  type BoundaryTransaction,
  foldBoundary,
} from '../../../src/domain/boundary-cut.ts';
import { type Gtid, parseGtid } from '../../../src/domain/gtid.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import {
  parseBackupId,
  parseBinlogName,
  parseServerUuid,
  parseSha256,
} from '../../../src/domain/identity.ts';
import type {
  CatalogBackup,
  CatalogSegment,
  PlanFacts,
  PlanRequest,
} from '../../../src/domain/plan-facts.ts';
import type { RestorePlan } from '../../../src/domain/restore-plan.ts';
import { boundaryQuestion, planRestore } from '../../../src/domain/restore-planner.ts';
import type { SegmentFacts, StoredObject } from '../../../src/domain/segment.ts';
import { parseTarget } from '../../../src/domain/target.ts';
import { formatInstant, type Micros, parseInstant } from '../../../src/domain/time.ts';

export const SERVER = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');

/** Where events begin in a file of these tests; each transaction takes 100 bytes. */
export const FIRST_OFFSET = 200;
const START = parseInstant('2026-11-20T10:00:00Z');

/** The time of second `second` of a history, in the target's form. */
export function second(at: number): string {
  return formatInstant((START + BigInt(Math.round(at * 1_000_000))) as Micros);
}

export interface HistoryTransaction {
  readonly gtid: string | null;
  readonly atSecond: number;
}

/** A binlog of a history, before it is made into a catalog entry. */
export interface HistoryLog {
  readonly transactions: readonly HistoryTransaction[];
  readonly facts?: Partial<SegmentFacts>;
  /** A log that was purged before it was archived. */
  readonly fate?: 'archived' | 'lost';
  readonly timeline?: number;
}

export interface HistoryBackup {
  /** Number of the log, from 1, in which it was taken, and how many of its transactions it holds. */
  readonly log: number;
  readonly transactions: number;
  readonly finishedSecond: number;
  /** GTIDs of the server's former life, in no log. */
  readonly foreign?: string;
  readonly timeline?: number;
}

/** Transactions `from` to `to` of the server, one a second. */
export function run(from: number, to: number): HistoryTransaction[] {
  return Array.from({ length: to - from + 1 }, (_, k) => ({
    gtid: `${SERVER}:${from + k}`,
    atSecond: from + k,
  }));
}

function stored(key: string, lengthBytes: number): StoredObject {
  const sha256 = parseSha256('a'.repeat(64));
  return { key, lengthBytes, sha256, crc32: '00000000', compression: 'zstd', encryption: 'none' };
}

function binlogOf(log: number) {
  return parseBinlogName(`binlog.${String(log).padStart(6, '0')}`);
}

function setOf(transactions: readonly HistoryTransaction[]): GtidSet {
  return GtidSet.of(...transactions.flatMap(({ gtid }) => (gtid === null ? [] : [parseGtid(gtid)])));
}

function inversions(times: readonly number[]): number {
  return times.filter((time, index) => times.slice(0, index).some((earlier) => earlier > time)).length;
}

/** A server's history, and the catalog that an archiver made of it. */
export class History {
  readonly logs: readonly HistoryLog[];
  readonly facts: PlanFacts;
  /** GTIDs logged before the first log, which was never archived. */
  readonly #before: GtidSet;

  constructor(logs: readonly HistoryLog[], backups: readonly HistoryBackup[], before = '') {
    this.logs = logs;
    this.#before = GtidSet.parse(before);
    const segments = logs.flatMap((log, index) => (log.fate === 'lost' ? [] : [this.#segment(log, index)]));
    this.facts = {
      repositoryId: 'r',
      cluster: 'shop',
      catalogSequence: segments.length,
      segments,
      backups: backups.map((backup, index) => this.#backup(backup, index)),
      baselines: [],
    };
  }

  /** All that was logged before log `index`, from 0; of its own timeline only. */
  loggedBefore(index: number): GtidSet {
    const timeline = this.logs[index]?.timeline ?? 1;
    const own = this.logs.slice(0, index).filter((log) => (log.timeline ?? 1) === timeline);
    const before = timeline === 1 ? this.#before : GtidSet.EMPTY;
    return GtidSet.unionAll([before, ...own.map((log) => setOf(log.transactions))]);
  }

  transactionsOf(segment: CatalogSegment): BoundaryTransaction[] {
    const log = this.logs[Number(segment.object.key)];
    return (log?.transactions ?? []).map(({ gtid, atSecond }, index) => ({
      gtid: gtid === null ? null : (parseGtid(gtid) as Gtid),
      startOffset: FIRST_OFFSET + index * 100,
      endOffset: FIRST_OFFSET + (index + 1) * 100,
      committedAtMicros: parseInstant(second(atSecond)),
    }));
  }

  /** Plans as a caller does: answer each question from the segment's transactions, then plan. */
  plan(target: string, more: { skip?: string; timeline?: number } = {}): RestorePlan {
    const request: PlanRequest = {
      target: parseTarget(target),
      targetText: target,
      skip: GtidSet.parse(more.skip ?? ''),
      timeline: more.timeline ?? null,
    };
    const answers = new Map<number, BoundaryAnswer>();
    for (;;) {
      const question = boundaryQuestion(this.facts, request, answers);
      if (question.kind === 'answered') return planRestore(this.facts, request, answers);
      const answer = foldBoundary(
        question.cut,
        this.transactionsOf(question.segment),
        question.skip,
        question.repeats,
      );
      answers.set(question.catalogIndex, answer);
    }
  }

  #segment(log: HistoryLog, index: number): CatalogSegment {
    const times = log.transactions.map(({ atSecond }) => atSecond);
    const anonymous = log.transactions.filter(({ gtid }) => gtid === null).length;
    const [first, last] = [times.at(0), times.at(-1)];
    const segment: SegmentFacts = {
      serverUuid: SERVER,
      binlog: binlogOf(index + 1),
      serverVersion: '9.7.4',
      createdAt: second(0),
      previousGtids: this.loggedBefore(index).toString(),
      gtids: setOf(log.transactions).toString(),
      transactions: times.length,
      anonymousTransactions: anonymous,
      firstCommit: first === undefined ? null : second(first),
      lastCommit: last === undefined ? null : second(last),
      maxCommit: times.length === 0 ? null : second(Math.max(...times)),
      clockInversions: inversions(times),
      lengthBytes: FIRST_OFFSET + times.length * 100 + 44,
      sha256: parseSha256(index.toString(16).padStart(64, '0')),
      closedBy: 'rotate',
      eventDdl: 0,
      xaPrepares: 0,
      temporaryTables: 0,
      ...log.facts,
    };
    return { timeline: log.timeline ?? 1, segment, object: stored(String(index), 1000), stores: ['main'] };
  }

  #backup(backup: HistoryBackup, index: number): CatalogBackup {
    const inside = this.logs[backup.log - 1]?.transactions.slice(0, backup.transactions) ?? [];
    const gtids = this.loggedBefore(backup.log - 1)
      .union(setOf(inside))
      .union(GtidSet.parse(backup.foreign ?? ''));
    const position = FIRST_OFFSET + backup.transactions * 100;
    const facts = {
      backupId: parseBackupId(`20261120T100000Z-${index.toString(16).padStart(8, '0')}`),
      engine: 'clone' as const,
      serverUuid: SERVER,
      serverVersion: '9.7.4',
      coordinates: { gtidExecuted: gtids.toString(), gtidPurged: '', binlog: binlogOf(backup.log), position },
      startedAt: second(backup.finishedSecond),
      finishedAt: second(backup.finishedSecond),
      lowerCaseTableNames: 0,
      characterSetServer: 'utf8mb4',
      collationServer: 'utf8mb4_0900_ai_ci',
      dataBytes: 1_000_000,
      tarBytes: 1_000_000,
      tarSha256: parseSha256('b'.repeat(64)),
      preparedXa: [],
      schemaSha256: parseSha256('c'.repeat(64)),
      timeline: backup.timeline ?? 1,
    };
    return { backup: facts, object: stored(`backup-${index}`, 500_000), stores: ['main'] };
  }
}
