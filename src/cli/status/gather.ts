import { newestLine } from '../../archiving/line.ts';
import type { CatalogState } from '../../catalog/fold.ts';
import { connectSource } from '../../config/connect-source.ts';
import type { ClusterConfig, ClusterStore, PitrailConfig, SourceConfig } from '../../config/types.ts';
import { AppError } from '../../domain/errors.ts';
import { GtidSet } from '../../domain/gtid-set.ts';
import type { ServerUuid } from '../../domain/identity.ts';
import { restorableWindows } from '../../domain/restore-windows.ts';
import { readBinaryLogs, readGtidExecuted } from '../../mysql/facts.ts';
import { planFacts } from '../../restoring/make-plan.ts';
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
  const [stores, servers, workflows, watch] = await Promise.all([
    Promise.all(cluster.stores.map((store) => storeFacts(cluster, store))),
    Promise.all(cluster.sources.map(askServer)),
    askWorkflows(cluster, config),
    askWatch(cluster, config),
  ]);
  const sources = cluster.sources.map(({ id }, index) => ({
    id,
    server: servers[index] ?? missingAnswer(id),
    workflow: workflows[index] ?? missingAnswer(id),
  }));
  return { cluster: cluster.name, stores, sources, watch };
}

function missingAnswer(id: string): never {
  throw new AppError({ code: 'NoAnswer', kind: 'bug', message: `No answer was kept for source ${id}.` });
}

async function storeFacts(cluster: ClusterConfig, store: ClusterStore): Promise<StoreFacts> {
  try {
    return readableStore(store.id, await readCatalog(cluster, store));
  } catch (error) {
    if (error instanceof AppError) return { status: 'unreadable', id: store.id, error };
    throw error;
  }
}

function readableStore(id: string, { state, location, damagedPacks }: StoreCatalog): ReadableStore {
  const segments = state.allSegments();
  const servers = [...new Set(segments.map(({ segment }) => segment.serverUuid))];
  const stored = [...segments, ...state.backups()].map(({ object }) => object.lengthBytes);
  const timelines = [...new Set(segments.map(({ timeline }) => timeline))];
  return {
    status: 'read',
    id,
    location,
    repositoryId: state.repositoryId,
    head: state.head,
    epoch: state.epoch,
    segments: segments.length,
    backups: state.backups().length,
    storedBytes: stored.reduce((sum, bytes) => sum + bytes, 0),
    archived: GtidSet.unionAll(timelines.map((timeline) => state.archivedThrough(timeline))),
    binlogs: new Map(servers.map((uuid) => [uuid, binlogsOf(state, uuid)])),
    lines: servers.flatMap((uuid) => archivedLine(state, uuid)),
    windows: restorableWindows(planFacts(state)),
    deadLetters: state.deadLetters(),
    damagedPacks,
  };
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

async function askServer(source: SourceConfig): Promise<ServerAnswer> {
  try {
    const session = await connectSource(source, { connectTimeoutMs: CONNECT_TIMEOUT_MS });
    try {
      const gtidExecuted = GtidSet.parse(await readGtidExecuted(session));
      const listed = await readBinaryLogs(session);
      // The last one is open.
      return {
        status: 'answered',
        serverUuid: session.serverUuid,
        gtidExecuted,
        closed: listed.slice(0, -1),
      };
    } finally {
      await session.close();
    }
  } catch (error) {
    if (error instanceof AppError) return { status: 'unreachable', error };
    throw error;
  }
}
