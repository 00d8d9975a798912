import { newestLine } from '../../archiving/line.ts';
import { recognizedLogs } from '../../archiving/recognize.ts';
import type { CatalogState } from '../../catalog/fold.ts';
import { connectSource } from '../../config/connect-source.ts';
import type { ClusterConfig, ClusterStore, PitrailConfig, SourceConfig } from '../../config/types.ts';
import { archiveHoles } from '../../domain/archive-holes.ts';
import { AppError } from '../../domain/errors.ts';
import { GtidSet } from '../../domain/gtid-set.ts';
import { parseServerUuid, type ServerUuid } from '../../domain/identity.ts';
import { newestTimeline } from '../../domain/plan-timeline.ts';
import { restorableWindows } from '../../domain/restore-windows.ts';
import { readBinaryLogs, readGtidExecuted, readPreviousGtids, readServerFacts } from '../../mysql/facts.ts';
import { disagreementOf, unionOf } from '../../restoring/read-union.ts';
import { readCatalog, type StoreCatalog } from '../store-catalog.ts';
import { askWorkflows } from './ask-workflows.ts';
import type { ArchivedLine, ClusterFacts, ReadableStore, ServerAnswer, StoreFacts } from './facts.ts';
import { askWatch } from './watch.ts';

const CONNECT_TIMEOUT_MS = 5000;

/** Asks stores, servers and Temporal about one cluster, all at once. What does not answer is a fact, too. */
export async function gatherCluster(
  cluster: ClusterConfig,
  config: Pick<PitrailConfig, 'temporal' | 'region'>,
): Promise<ClusterFacts> {
  const reading = Promise.all(cluster.stores.map((store) => readStore(cluster, store)));
  const [read, servers, workflows, watch] = await Promise.all([
    reading,
    Promise.all(cluster.sources.map((source) => askServer(source, reading))),
    askWorkflows(cluster, config),
    askWatch(cluster, config),
  ]);
  const stores = read.map(({ facts, state }) =>
    facts.status === 'read' && state !== null
      ? withRecognized(facts, state, cluster.sources, servers)
      : facts,
  );
  const sources = cluster.sources.map(({ id }, index) => ({
    id,
    server: servers[index] ?? missingAnswer(id),
    workflow: workflows[index] ?? missingAnswer(id),
  }));
  const known = read.flatMap(({ facts, state }) => (state === null ? [] : [{ id: facts.id, state }]));
  const disagreement = disagreementOf(known);
  return { cluster: cluster.name, stores, disagreement, sources, watch };
}

function missingAnswer(id: string): never {
  throw new AppError({ code: 'NoAnswer', kind: 'bug', message: `No answer was kept for source ${id}.` });
}

interface ReadStore {
  readonly facts: StoreFacts;
  readonly state: CatalogState | null;
}

async function readStore(cluster: ClusterConfig, store: ClusterStore): Promise<ReadStore> {
  try {
    const catalog = await readCatalog(cluster, store);
    return { facts: readableStore(store.id, catalog), state: catalog.state };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { facts: { status: 'unreadable', id: store.id, error }, state: null };
  }
}

function readableStore(id: string, { state, location, damagedPacks }: StoreCatalog): ReadableStore {
  const segments = state.allSegments();
  const servers = [...new Set(segments.map(({ segment }) => segment.serverUuid))];
  const stored = [...segments, ...state.backups()].map(({ object }) => object.lengthBytes);
  const timelines = [...new Set(segments.map(({ timeline }) => timeline))];
  const { facts } = unionOf([{ id, state }]);
  const windows = restorableWindows(facts);
  return {
    status: 'read',
    id,
    location,
    repositoryId: state.repositoryId,
    head: state.head,
    epoch: state.epoch,
    segments: segments.length,
    backups: state.backups().length,
    newestBackup: newestBackup(state),
    storedBytes: stored.reduce((sum, bytes) => sum + bytes, 0),
    archived: GtidSet.unionAll(timelines.map((timeline) => state.archivedThrough(timeline))),
    binlogs: new Map(servers.map((uuid) => [uuid, binlogsOf(state, uuid)])),
    lines: servers.flatMap((uuid) => archivedLine(state, uuid)),
    windows,
    holes: archiveHoles(facts, windows),
    newestTimeline: newestTimeline(facts),
    deadLetters: state.deadLetters(),
    damagedPacks,
  };
}

function newestBackup(state: CatalogState): ReadableStore['newestBackup'] {
  const [newest] = state
    .backups()
    .map(({ backup: { backupId, finishedAt } }) => ({ backupId, finishedAt }))
    .sort((a, b) => (a.finishedAt < b.finishedAt ? 1 : -1));
  return newest ?? null;
}

/** Names on the server's newest timeline: after a reset the same names start anew. */
function binlogsOf(state: CatalogState, serverUuid: ServerUuid): ReadonlySet<string> {
  return new Set(newestLine(state, serverUuid)?.segments.map(({ binlog }) => binlog));
}

function archivedLine(state: CatalogState, serverUuid: ServerUuid): ArchivedLine[] {
  const line = newestLine(state, serverUuid);
  if (line === null) return [];
  const segments = state.segments(line.timeline).map(({ segment }) => segment);
  const [first] = segments;
  const last = segments.at(-1);
  if (first === undefined || last === undefined) return [];
  return [
    {
      serverUuid,
      timeline: line.timeline,
      covered: state.archivedThrough(line.timeline).union(GtidSet.parse(first.previousGtids)),
      lastBinlog: last.binlog,
      lastCommit: segments.findLast(({ lastCommit }) => lastCommit !== null)?.lastCommit ?? null,
    },
  ];
}

async function askServer(
  source: SourceConfig,
  reading: Promise<readonly ReadStore[]>,
): Promise<ServerAnswer> {
  try {
    const session = await connectSource(source, { connectTimeoutMs: CONNECT_TIMEOUT_MS });
    try {
      const gtidExecuted = GtidSet.parse(await readGtidExecuted(session));
      const { gtidMode } = await readServerFacts(session);
      const listed = await readBinaryLogs(session);
      const serverUuid = parseServerUuid(session.serverUuid);
      const heads: (string | null)[] = [];
      const isHeir = (await reading).some(({ state }) => state !== null && isHeirIn(state, serverUuid));
      for (const { name } of isHeir ? listed : []) heads.push(await readPreviousGtids(session, name));
      // The last one is open.
      return { status: 'answered', serverUuid, gtidExecuted, closed: listed.slice(0, -1), gtidMode, heads };
    } finally {
      await session.close();
    }
  } catch (error) {
    if (error instanceof AppError) return { status: 'unreachable', error };
    throw error;
  }
}

function isHeirIn(state: CatalogState, serverUuid: ServerUuid): boolean {
  return (newestLine(state, serverUuid)?.heirship ?? null) !== null;
}

/** Counts the logs of heirs that archiving passes over as archived: they are no backlog. */
function withRecognized(
  facts: ReadableStore,
  state: CatalogState,
  sources: readonly SourceConfig[],
  servers: readonly ServerAnswer[],
): ReadableStore {
  const binlogs = new Map(facts.binlogs);
  for (const [index, server] of servers.entries()) {
    if (server.status !== 'answered' || server.heads.length === 0) continue;
    const serverUuid = parseServerUuid(server.serverUuid);
    const logs = server.heads.map((previousGtids) => ({
      peek: previousGtids === null ? null : { previousGtids },
    }));
    const found = recognizedLogs(state, newestLine(state, serverUuid), {
      serverUuid,
      gtidMode: server.gtidMode,
      closed: logs.slice(0, -1).map((source) => ({ source })),
      open: logs.at(-1) ?? null,
      redundancy: sources[index]?.redundancy ?? 1,
    });
    const names = server.closed.filter((_, place) => found.has(place)).map(({ name }) => name);
    binlogs.set(serverUuid, new Set([...(binlogs.get(serverUuid) ?? []), ...names]));
  }
  return { ...facts, binlogs };
}
