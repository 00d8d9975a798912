import type { CatalogHead } from '../catalog/chain.ts';
import type { SourceConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import type { StorePolicy } from '../domain/routing/store-policy.ts';
import { readBinaryLogs, readServerFacts, type ServerFacts } from '../mysql/facts.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { archivedThroughOf, decideRound, wantedStems } from './decide-round.ts';
import type { Discovery, LetterRef, OpenLog } from './discovery.ts';
import { fullerThan } from './fills.ts';
import type { LogAccess } from './log-access.ts';
import { knownStores, readStores, type StoreLook, type StoreReads } from './read-stores.ts';
import { assertOneRepository, type Repositories, type Repository } from './repositories.ts';
import type { ServerView, SourceView, StoreRead } from './server-view.ts';
import type { PeekCache, SourceLog } from './source-logs.ts';
import { stageUnread } from './stage-unread.ts';
import { readStagedServers } from './staged-logs.ts';
import { ensureStagingDir } from './staging.ts';
import { boundariesIn, retentionOf, standInsOf, standingsOf, withFills } from './standings.ts';
import { splitStores } from './store-needs.ts';
import { listStagedServers, removeLeftovers } from './tidy.ts';

/** What a look at the server and at the staging folder needs. */
export interface LookOptions {
  readonly source: SourceConfig;
  readonly session: MysqlSession;
  readonly access: LogAccess;
  /** Of what lies staged. */
  readonly cache: PeekCache;
  /** All stores of the cluster. */
  readonly stores: readonly StoreLook[];
  /** Dead letters that wait for an operator. */
  readonly setAside: readonly LetterRef[];
  /** Logs that an operator gave up. */
  readonly givenUp: readonly LetterRef[];
}

export interface DiscoverOptions extends LookOptions {
  readonly repositories: Repositories;
  /** Heads that were seen before, by store id; a catalog behind one of them was rolled back. */
  readonly heads: ReadonlyMap<string, CatalogHead>;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/**
 * Looks at the server, the staging folder and every catalog, and decides what is to be done with
 * each closed log. Changes nothing but what crashes left in the staging folder; where no catalog is
 * known, or one cannot be trusted, it stages what is closed before it says so.
 *
 * @throws refused `GtidModeOff`, `BinlogOff`, `WrongBinlogDir`, `RepositoryMissing`; corrupt
 *   `CatalogBroken`; conflict `RepositoriesDiffer`; unavailable
 */
export async function discover(options: DiscoverOptions): Promise<Discovery> {
  const { stagingDir } = options.source;
  const view = await viewOrStage(options);
  const { serverUuid, listed, stores, followers } = view.present;
  const known = [...stores, ...followers];
  assertOneRepository(known.map(({ state }) => state.repositoryId));
  await ensureStagingDir(stagingDir, serverUuid);
  await tidy(stagingDir, view.present);
  const {
    stores: needs,
    pending,
    lies,
    ...decision
  } = decideRound(serversOf(view), options.access.stagingMaxBytes);
  const standing = standInsOf(known);
  return {
    serverUuid,
    ...decision,
    stores: withFills(standingsOf(view, needs), standing.comparisons, known),
    ...standing,
    boundaries: boundariesIn(known, view.present.unknown),
    retention: retentionOf(view, { pending, lies }, options.nowMs),
    open: openLog(listed.at(-1), options.nowMs),
    heads: known.map(({ id, state }) => ({ store: id, ...state.head })),
    archivedThrough: throughAll(view.present),
  };
}

/** How far every store that counts reaches: as the one says that has the least. Null where one is not known. */
function throughAll({ serverUuid, stores, followers, required }: ServerView): Discovery['archivedThrough'] {
  const counting = [...stores, ...followers].filter(({ id }) => required.includes(id));
  if (counting.length < required.length) return null;
  const [least] = counting.toSorted(
    (a, b) => a.state.segmentsOf(serverUuid).length - b.state.segmentsOf(serverUuid).length,
  );
  return least === undefined ? null : archivedThroughOf(least.state, serverUuid);
}

/** All that a source was and is, the present server last. */
export function serversOf({ earlier, present }: SourceView): readonly ServerView[] {
  return [...earlier, present];
}

/** Reads everything that decides a round, and changes nothing. @throws as `discover` */
export async function viewSource(options: DiscoverOptions): Promise<SourceView> {
  const facts = await archivableFacts(options.session);
  const { repositories, stores, heads } = options;
  return viewLogs(options, facts, await readStores(repositories, stores, heads));
}

/** As `viewSource`, where every store that counts must be reached. @throws unavailable, too */
export async function viewWhole(options: DiscoverOptions): Promise<SourceView> {
  const view = await viewSource(options);
  const failed = view.reads.find(
    (read) => read.failure !== null && view.present.required.includes(read.store),
  );
  if (failed?.failure == null) return view;
  throw new AppError({ ...failed.failure, facts: { store: failed.store } });
}

async function viewOrStage(options: DiscoverOptions): Promise<SourceView> {
  const { repositories, stores, heads } = options;
  const facts = await archivableFacts(options.session);
  let reads: StoreReads;
  try {
    reads = await readStores(repositories, stores, heads);
    if (reads.known.length === 0) throw noStoreKnown(reads.reads);
  } catch (error) {
    await stageClosed(options, repositories.all);
    throw error;
  }
  return viewLogs(options, facts, reads);
}

/**
 * Stages what the server has closed, without reading a catalog: while one cannot be read, and while
 * transfers last. What all catalogs are known to name is left out.
 *
 * @throws refused as `discover`; unavailable `StagingFull`
 */
export async function stageClosed(options: LookOptions, repositories: readonly Repository[]): Promise<void> {
  const facts = await archivableFacts(options.session);
  const found = knownStores(repositories);
  // A catalog that nobody has read yet may lack what the others name.
  const known = found.length === repositories.length ? found : [];
  const { present } = await viewLogs(options, facts, { known, reads: [] });
  await stageUnread(present, options.access);
}

async function tidy(stagingDir: string, present: ServerView): Promise<void> {
  for (const serverUuid of await listStagedServers(stagingDir)) {
    const isPresent = serverUuid === present.serverUuid;
    await removeLeftovers(stagingDir, serverUuid, isPresent ? wantedStems(present) : new Set());
  }
}

async function viewLogs(
  options: LookOptions,
  facts: ServerFacts,
  { known, reads }: StoreReads,
): Promise<SourceView> {
  const { source, session, access, cache, setAside, givenUp } = options;
  const { serverUuid, gtidMode } = facts;
  // Staged logs are read before the listing: one that is staged in between would else be taken for purged.
  const staged = await readStagedServers(source.stagingDir, serverUuid, cache);
  const listed = await access.readHeads({
    serverUuid,
    listed: await readBinaryLogs(session),
    relist: () => relist(session),
    stores: known.map(({ state }) => state),
  });
  const present = { serverUuid, listed, staged: staged.present };
  const earlier = staged.earlier.map((server) => ({ ...server, listed: [] }));
  const unknown = options.stores.map(({ store }) => store).filter((id) => !known.some((it) => it.id === id));
  const shared = {
    ...splitStores(
      known,
      policyIn(options.stores),
      (store) => fullerThan(store, known, [...earlier, present]) !== undefined,
    ),
    unknown,
    required: options.stores.filter(({ policy }) => policy === 'required').map(({ store }) => store),
    setAside,
    givenUp,
    mode: access.mode,
    redundancy: source.redundancy,
  };
  return {
    facts,
    // No server vouches for these any more; they were written with GTIDs, or they are refused when they are sealed.
    earlier: earlier.map((server) => ({ ...server, ...shared, gtidMode: 'ON' })),
    present: { ...shared, ...present, gtidMode },
    reads,
  };
}

function policyIn(looks: readonly StoreLook[]): (store: string) => StorePolicy {
  return (store) => looks.find((look) => look.store === store)?.policy ?? 'catch-up';
}

/** No catalog was ever read by this process, and none can be read now. */
function noStoreKnown(reads: readonly StoreRead[]): AppError {
  const failure = reads.find((read) => read.failure !== null)?.failure;
  return new AppError({
    code: failure?.code ?? 'StoresHeldBack',
    kind: failure?.kind ?? 'unavailable',
    message: failure?.message ?? 'No store can be asked now, so nothing is archived; it is tried again.',
    hint: failure?.hint ?? 'See pitrail status for the reason of each store.',
  });
}

async function archivableFacts(session: MysqlSession): Promise<ServerFacts> {
  const facts = await readServerFacts(session);
  assertArchivable(facts, session.where);
  return facts;
}

async function relist(session: MysqlSession): Promise<ReadonlyMap<string, number>> {
  return new Map((await readBinaryLogs(session)).map((log) => [log.name, log.sizeBytes]));
}

function assertArchivable(facts: ServerFacts, where: string): void {
  if (!facts.logBin) {
    throw new AppError({
      code: 'BinlogOff',
      kind: 'refused',
      message: `MySQL at ${where} runs without binary logs (log_bin is off), so there is nothing to archive and no point in time to go back to.`,
      hint: 'Start it with log_bin, gtid_mode=ON and enforce_gtid_consistency=ON.',
      facts: { where },
    });
  }
  if (facts.gtidMode === 'ON') return;
  throw new AppError({
    code: 'GtidModeOff',
    kind: 'refused',
    message: `MySQL at ${where} runs with gtid_mode=${facts.gtidMode}: transactions without a GTID cannot be restored exactly, so nothing is archived.`,
    hint: 'Set enforce_gtid_consistency=ON, then step gtid_mode through OFF_PERMISSIVE and ON_PERMISSIVE to ON.',
    facts: { where, gtidMode: facts.gtidMode },
  });
}

function openLog(log: SourceLog | undefined, nowMs: number): OpenLog | null {
  if (log?.peek === null || log?.peek === undefined) return null;
  const ageSeconds = Math.max(0, Math.round((nowMs - Date.parse(log.peek.createdAt)) / 1000));
  const holds = log.peek.firstCommit === null ? 'nothing' : 'transactions';
  return { binlog: log.name, ageSeconds, holds };
}
