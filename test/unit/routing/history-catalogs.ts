import type { CatalogBody } from '../../../src/domain/catalog-entry.ts';
import { parseGtid } from '../../../src/domain/gtid.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import {
  parseBackupId,
  parseBinlogName,
  parseServerUuid,
  parseSha256,
} from '../../../src/domain/identity.ts';
import type { CatalogView, ListedEntry } from '../../../src/domain/routing/catalog-view.ts';
import type { StoredObject } from '../../../src/domain/segment.ts';
import type { Random } from '../domain/random.ts';

const SERVERS = [
  parseServerUuid('00000000-71ca-11e1-9e33-c80aa9429562'),
  parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562'),
] as const;
const AT = '2026-11-20T10:00:00.000000Z';

function digest(n: number) {
  return parseSha256(n.toString(16).padStart(64, '0'));
}

function object(key: string, n: number): StoredObject {
  return {
    key,
    lengthBytes: 100 + n,
    sha256: digest(n),
    crc32: '00000000',
    compression: 'zstd',
    encryption: 'none',
  };
}

function run(uuid: string, from: number, to: number): GtidSet {
  return GtidSet.of(...Array.from({ length: to - from + 1 }, (_, k) => parseGtid(`${uuid}:${from + k}`)));
}

/** What happened to a cluster, in order, as one perfect archive would have it. Every entry tells of something else. */
export function randomLife(random: Random): CatalogBody[] {
  const life: CatalogBody[] = [];
  const lines = SERVERS.map((serverUuid) => ({ serverUuid, timeline: 0, logs: 0, next: 1, since: 1 }));
  let timelines = 0;
  for (let count = 4 + random.int(14); count > 0; count -= 1) {
    const line = random.pick(lines);
    const { serverUuid } = line;
    if (line.timeline === 0 || random.once(9)) {
      const parent = timelines === 0 ? null : timelines;
      timelines += 1;
      Object.assign(line, { timeline: timelines, logs: 0, next: 1, since: 1 });
      life.push({
        kind: 'timeline-started',
        timeline: timelines,
        parent,
        serverUuid,
        reason: 'reset',
        detail: 'x',
      });
    }
    const { timeline } = line;
    if (random.once(8)) {
      const missing = run(serverUuid, line.next, line.next + 1).toString();
      line.next += 2;
      life.push({ kind: 'gap-accepted', timeline, serverUuid, missingGtids: missing, detail: 'x' });
    }
    life.push(archivedBody(line, life.length));
    if (random.once(5)) life.push(backupBody(timeline, serverUuid, life.length));
    if (random.once(7)) {
      life.push({
        kind: 'segment-refused',
        serverUuid,
        binlog: `bad.${life.length}`,
        reason: 'Bad',
        detail: 'x',
      });
    }
  }
  return life;
}

function archivedBody(
  line: { serverUuid: (typeof SERVERS)[number]; timeline: number; logs: number; next: number },
  n: number,
): CatalogBody {
  line.logs += 1;
  const { serverUuid, timeline, next } = line;
  const binlog = parseBinlogName(`binlog.${String(line.logs).padStart(6, '0')}`);
  line.next += 3;
  return {
    kind: 'segment-archived',
    timeline,
    segment: {
      serverUuid,
      binlog,
      serverVersion: '9.7.4',
      createdAt: `2026-11-${String(1 + timeline).padStart(2, '0')}T10:00:00Z`,
      previousGtids: next === 1 ? '' : run(serverUuid, 1, next - 1).toString(),
      gtids: run(serverUuid, next, next + 2).toString(),
      transactions: 3,
      anonymousTransactions: 0,
      firstCommit: AT,
      lastCommit: AT,
      maxCommit: AT,
      clockInversions: 0,
      lengthBytes: 1000 + n,
      sha256: digest(n),
      closedBy: 'rotate',
      eventDdl: 0,
      xaPrepares: 0,
      temporaryTables: 0,
    },
    object: object(`mysql/${serverUuid}/${timeline}/${binlog}.zst`, n),
  };
}

function backupBody(timeline: number, serverUuid: (typeof SERVERS)[number], n: number): CatalogBody {
  const backupId = parseBackupId(`20261120T100000Z-${n.toString(16).padStart(8, '0')}`);
  return {
    kind: 'backup-registered',
    backup: {
      backupId,
      engine: 'clone',
      serverUuid,
      serverVersion: '9.7.4',
      coordinates: { gtidExecuted: '', gtidPurged: '', binlog: 'binlog.000001', position: 4 },
      startedAt: AT,
      finishedAt: AT,
      lowerCaseTableNames: 0,
      characterSetServer: 'utf8mb4',
      collationServer: 'utf8mb4_0900_ai_ci',
      dataBytes: 1,
      tarBytes: 1,
      tarSha256: digest(1),
      preparedXa: [],
      schemaSha256: digest(2),
      timeline,
    },
    object: object(`backups/${backupId}/base.tar.zst`, n),
  };
}

/** A catalog that got these entries, in this order. */
export function viewOf(store: string, bodies: readonly CatalogBody[]): CatalogView {
  const first: CatalogBody = { kind: 'repository-created', cluster: 'shop', createdBy: store };
  let epoch = 1;
  const entries = [first, ...bodies].map((body, index): ListedEntry => {
    if (body.kind === 'handoff') epoch += 1;
    return { sequence: index + 1, epoch, body };
  });
  return { store, repositoryId: '11111111-2222-4333-8444-555555555555', entries };
}
