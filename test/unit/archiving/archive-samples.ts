import type { ServerView } from '../../../src/archiving/server-view.ts';
import type { SourceLog } from '../../../src/archiving/source-logs.ts';
import { CatalogState } from '../../../src/catalog/fold.ts';
import type { CatalogBody } from '../../../src/domain/catalog-entry.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import {
  parseBinlogName,
  parseRepositoryId,
  parseServerUuid,
  parseSha256,
  type ServerUuid,
} from '../../../src/domain/identity.ts';
import type { SegmentFacts, StoredObject } from '../../../src/domain/segment.ts';

export const SERVER = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');
export const EARLIER = parseServerUuid('1e11fa47-71ca-11e1-9e33-c80aa9429562');

/** A binlog of a history in which each transaction has the next number. */
export interface SampleLog {
  readonly serverUuid: ServerUuid;
  readonly index: number;
  /** Number of its first transaction, and how many it holds. */
  readonly first: number;
  readonly count: number;
  readonly createdAt: string;
}

/** The logs of one server from number 1 on, with so many transactions each. */
export function history(counts: readonly number[], serverUuid = SERVER): SampleLog[] {
  let first = 1;
  return counts.map((count, place) => {
    const index = place + 1;
    const log = { serverUuid, index, first, count, createdAt: timeOf(index) };
    first += count;
    return log;
  });
}

/** The time at which log `index` is begun, one a minute. */
export function timeOf(index: number): string {
  return new Date(Date.UTC(2026, 10, 20, 10, index)).toISOString().replace('.000Z', '.000000Z');
}

export function nameOf({ index }: SampleLog): string {
  return `binlog.${String(index).padStart(6, '0')}`;
}

/** The truth: exactly the transactions in a log. */
export function gtidsOf({ serverUuid, first, count }: SampleLog): GtidSet {
  return count === 0 ? GtidSet.EMPTY : GtidSet.parse(`${serverUuid}:${first}-${first + count - 1}`);
}

function previousOf({ serverUuid, first }: SampleLog): string {
  return first === 1 ? '' : GtidSet.parse(`${serverUuid}:1-${first - 1}`).toString();
}

/** A log as a look at its server finds it; one that is unreadable has no beginning. */
export function sourceLog(log: SampleLog, head: 'readable' | 'unreadable' = 'readable'): SourceLog {
  const peek = {
    createdAt: log.createdAt,
    previousGtids: previousOf(log),
    firstCommit: null,
    headBytes: 157,
  };
  const base = { name: nameOf(log), sizeBytes: 1000 + log.count, encrypted: false, problem: null };
  return { ...base, peek: head === 'readable' ? peek : null };
}

/** How a dead letter names the log that a look found so. */
export function letterRef(log: SampleLog, head: 'readable' | 'unreadable' = 'readable') {
  return {
    serverUuid: log.serverUuid,
    binlog: nameOf(log),
    createdAt: head === 'readable' ? log.createdAt : '',
    lengthBytes: 1000 + log.count,
  };
}

function segmentOf(log: SampleLog): SegmentFacts {
  return {
    serverUuid: log.serverUuid,
    binlog: parseBinlogName(nameOf(log)),
    serverVersion: '9.7.4',
    createdAt: log.createdAt,
    previousGtids: previousOf(log),
    gtids: gtidsOf(log).toString(),
    transactions: log.count,
    anonymousTransactions: 0,
    firstCommit: null,
    lastCommit: null,
    maxCommit: null,
    clockInversions: 0,
    lengthBytes: 1000 + log.count,
    sha256: parseSha256(log.index.toString(16).padStart(64, '0')),
    closedBy: 'rotate',
    eventDdl: 0,
    xaPrepares: 0,
    temporaryTables: 0,
  };
}

const OBJECT: StoredObject = {
  key: 'k',
  lengthBytes: 1,
  sha256: parseSha256('cd'.repeat(32)),
  crc32: '00000000',
  compression: 'zstd',
  encryption: 'none',
};

/** A catalog in which these logs stand archived, in this order; a server's first one begins its timeline. */
export function catalogOf(archived: readonly SampleLog[], more: readonly CatalogBody[] = []): CatalogState {
  const timelines = new Map<ServerUuid, number>();
  const bodies: CatalogBody[] = [{ kind: 'repository-created', cluster: 'c', createdBy: 'test' }];
  for (const log of archived) {
    const { serverUuid } = log;
    if (!timelines.has(serverUuid)) {
      const timeline = timelines.size + 1;
      timelines.set(serverUuid, timeline);
      bodies.push({
        kind: 'timeline-started',
        timeline,
        parent: null,
        serverUuid,
        reason: 'first',
        detail: '',
      });
    }
    const timeline = timelines.get(serverUuid) ?? 0;
    bodies.push(archivedBody(log, timeline));
  }
  return catalogFrom([...bodies, ...more]);
}

/** The entry that names a log. */
export function archivedBody(log: SampleLog, timeline = 1): CatalogBody {
  return { kind: 'segment-archived', timeline, segment: segmentOf(log), object: OBJECT };
}

/** The entries of a catalog in which nothing is archived yet, but the timeline of a server begun. */
export function firstBodies(serverUuid = SERVER): CatalogBody[] {
  return [
    { kind: 'repository-created', cluster: 'c', createdBy: 'test' },
    { kind: 'timeline-started', timeline: 1, parent: null, serverUuid, reason: 'first', detail: '' },
  ];
}

/** A catalog of these entries; each handoff among them raises the epoch. */
export function catalogFrom(bodies: readonly CatalogBody[]): CatalogState {
  let epoch = 1;
  const entries = bodies.map((body, index) => {
    if (body.kind === 'handoff') epoch += 1;
    return entryOf(body, index, epoch);
  });
  return CatalogState.fold(null, entries);
}

function entryOf(body: CatalogBody, index: number, epoch: number) {
  return {
    sha256: parseSha256('ab'.repeat(32)),
    entry: {
      format: 1 as const,
      sequence: index + 1,
      repositoryId: parseRepositoryId('11111111-2222-4333-8444-555555555555'),
      previous: null,
      writer: 'test',
      epoch,
      writtenAt: '2026-11-20T10:00:00.000000Z',
      body,
      signature: null,
    },
  };
}

/** One server as a round sees it; nothing of it is listed or staged unless said. */
export function serverView(more: Partial<ServerView>): ServerView {
  const nothing = { listed: [], staged: [], setAside: [], givenUp: [] };
  const { stores = [{ id: 'a', state: catalogOf([]) }] } = more;
  const others = { followers: [], unknown: [], required: stores.map(({ id }) => id) };
  return {
    serverUuid: SERVER,
    gtidMode: 'ON',
    mode: 'host',
    redundancy: 1,
    ...nothing,
    ...others,
    ...more,
    stores,
  };
}
