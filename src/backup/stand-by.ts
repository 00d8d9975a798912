import { claimedCatalog } from '../archiving/hold.ts';
import { currentLine, newestLine } from '../archiving/line.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { AppError } from '../domain/errors.ts';
import { claimEverywhere, inReserve } from '../domain/routing/hold.ts';
import { readReplication } from '../mysql/replication.ts';
import type { MysqlSession } from '../mysql/session.ts';
import type { BackupContext } from './context.ts';
import type { PreparedBackup } from './state.ts';

/** The catalog of a store that answers. */
interface StandByCatalog {
  readonly store: { readonly id: string };
  readonly state: CatalogState;
}

/** A fallback stands by until the archive is handed to it, and where it was archived before it has a timeline of its own. */
export function originOf(
  { source, role }: BackupContext,
  serverUuid: PreparedBackup['serverUuid'],
  read: readonly StandByCatalog[],
): PreparedBackup['origin'] {
  const isHeld = read.some(({ state }) => newestLine(state, serverUuid) !== null);
  if (isHeld || role === 'archived') return 'archived';
  const catalogs = read.map(({ store, state }) => claimedCatalog(store.id, state));
  return claimEverywhere(catalogs, { source, serverUuid, role }).kind === 'in-reserve'
    ? 'stand-by'
    : 'archived';
}

/** The source that archives by these catalogs. */
export function holderOf({ archivedSource }: BackupContext, takers: readonly StandByCatalog[]): string {
  const routes = takers.flatMap(({ state }) => state.handoffs()).toSorted((a, b) => a.epoch - b.epoch);
  const last = routes.findLast(({ route }) => route.kind === 'source')?.route;
  return last?.kind === 'source' ? last.to.source : archivedSource;
}

/**
 * A replica's backup lies on the timeline of the server that is archived. That it replicates from it now is the proof that
 * its GTIDs are the same transactions: a server that was reset refuses a replica which has more of them than it has itself.
 * @throws refused `NotReplicating`, `InReserve` where nothing is archived yet
 */
export async function assertReplicates(
  session: MysqlSession,
  source: string,
  takers: readonly StandByCatalog[],
): Promise<void> {
  const lines = takers.flatMap(({ state }) => currentLine(state) ?? []);
  if (lines.length === 0) throw inReserve(source);
  const { channels } = await readReplication(session);
  const sources = channels.flatMap(({ connectedTo }) => connectedTo ?? []);
  const archived = [...new Set(lines.map(({ serverUuid }) => serverUuid))];
  if (archived.every((serverUuid) => sources.includes(serverUuid))) return;
  throw new AppError({
    code: 'NotReplicating',
    kind: 'refused',
    message: `${source} stands by, and does not replicate from the server that is archived (${archived.join(', ')}) now: it is not certain that its transactions are those of the archive, so no backup of it was taken.`,
    hint: 'Start its replication from that server (SHOW REPLICA STATUS), or take the backup of the source that is archived.',
    facts: { archived, replicatesFrom: sources },
  });
}
