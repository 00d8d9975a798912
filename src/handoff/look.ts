import type { ServerContext } from '../archiving/resources.ts';
import type { SourceLog } from '../archiving/source-logs.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { ServerUuid } from '../domain/identity.ts';
import type { LagLog } from '../domain/routing/archive-lag.ts';
import { oneLine } from '../domain/routing/catalog-view.ts';
import type { CandidateReach, Replication } from '../domain/routing/handoff-facts.ts';
import { readBinaryLogs, readServerFacts } from '../mysql/facts.ts';
import { type ReplicationFacts, readReplication } from '../mysql/replication.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { within } from './within.ts';

/** How long a server may take to answer a look. */
export const LOOK_MS = 2_500;

/** A server that answered, or why it did not. Plain JSON. */
export type Look =
  | { readonly kind: 'reachable'; readonly serverUuid: ServerUuid; readonly gtidExecuted: string }
  | { readonly kind: 'unreachable'; readonly code: string; readonly message: string };

/** Asks a server who it is and what it has executed. @throws config, bug */
export function lookAt(server: ServerContext): Promise<Look> {
  return look(server, async (session) => {
    const { serverUuid, gtidExecuted } = await readServerFacts(session);
    return { kind: 'reachable', serverUuid, gtidExecuted };
  });
}

/** Asks a server for everything that decides whether it may go on with an archive. @throws config, bug */
export function lookAtCandidate(server: ServerContext): Promise<CandidateReach> {
  return look(server, async (session) => {
    // Before its own GTIDs: what it applies in between it had received.
    const { logReplicaUpdates, channels } = await readReplication(session);
    const { serverUuid, gtidMode, logBin, gtidExecuted, gtidPurged } = await readServerFacts(session);
    return {
      kind: 'reachable',
      serverUuid,
      gtidMode,
      logBin: logBin ? 'ON' : 'OFF',
      logReplicaUpdates,
      gtidExecuted,
      gtidPurged,
      replication: replicationOf(channels),
    };
  });
}

/** Beginnings of all logs of a server, the open one last, with what it had executed when they were read. */
export async function readLagLogs({ access }: ServerContext, session: MysqlSession): Promise<LagLog[]> {
  const { serverUuid } = await readServerFacts(session);
  const relist = async () => new Map((await readBinaryLogs(session)).map((log) => [log.name, log.sizeBytes]));
  const listed = await readBinaryLogs(session);
  const logs = await access.readHeads({ serverUuid, listed, relist, stores: [] });
  return logs.map(lagLog);
}

function lagLog({ peek }: SourceLog): LagLog {
  return { previousGtids: peek?.previousGtids ?? null, firstCommit: peek?.firstCommit ?? null };
}

async function look<T>(
  server: ServerContext,
  ask: (session: MysqlSession) => Promise<T>,
): Promise<T | Extract<Look, { kind: 'unreachable' }>> {
  try {
    return await within(LOOK_MS, server.source.id, () => server.withSession(ask));
  } catch (error) {
    if (!(error instanceof AppError) || (error.kind !== 'unavailable' && error.kind !== 'refused'))
      throw error;
    return { kind: 'unreachable', code: error.code, message: error.message };
  }
}

/** Several channels count as one: what came by any of them was received. */
function replicationOf(channels: ReplicationFacts['channels']): Replication {
  if (channels.length === 0) return { kind: 'none' };
  const received = GtidSet.unionAll(channels.map(({ receivedGtids }) => GtidSet.parse(receivedGtids)));
  return {
    kind: 'replica',
    state: channels.some(({ state }) => state === 'running') ? 'running' : 'stopped',
    receivedGtids: oneLine(received.toString()),
  };
}
