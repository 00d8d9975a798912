import type { CatalogHead } from '../catalog/chain.ts';
import type { SourceConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import { readBinaryLogs, readServerFacts, type ServerFacts } from '../mysql/facts.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { archivedThroughOf, decideRound, type ServerView, wantedStems } from './decide-round.ts';
import type { Discovery, LetterRef, OpenLog } from './discovery.ts';
import type { LogAccess } from './log-access.ts';
import type { Repositories, Repository } from './repositories.ts';
import type { PeekCache, SourceLog } from './source-logs.ts';
import { withinStaging } from './stage-ahead.ts';
import { stageUnread } from './stage-unread.ts';
import { readStagedServers } from './staged-logs.ts';
import { ensureStagingDir } from './staging.ts';
import { listStagedServers, removeLeftovers } from './tidy.ts';

/** What a look at the server and at the staging folder needs. */
export interface LookOptions {
  readonly source: SourceConfig;
  readonly session: MysqlSession;
  readonly access: LogAccess;
  /** Of what lies staged. */
  readonly cache: PeekCache;
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

/** A look at a source, before anything is decided. */
export interface SourceView {
  readonly facts: ServerFacts;
  /** Servers that this source was before and whose logs still lie staged, oldest first. */
  readonly earlier: readonly ServerView[];
  readonly present: ServerView;
}

/**
 * Looks at the server, the staging folder and every catalog, and decides what is to be done with
 * each closed log. Changes nothing but what crashes left in the staging folder; where a catalog
 * cannot be read, it stages what is closed before it says so.
 *
 * @throws refused `GtidModeOff`, `BinlogOff`, `WrongBinlogDir`, `RepositoryMissing`; corrupt
 *   `CatalogBroken`; unavailable
 */
export async function discover(options: DiscoverOptions): Promise<Discovery> {
  const { stagingDir } = options.source;
  const view = await viewOrStage(options);
  const { serverUuid, listed, stores } = view.present;
  await ensureStagingDir(stagingDir, serverUuid);
  await tidy(stagingDir, view.present);
  const [primary] = stores;
  const servers = serversOf(view);
  return {
    serverUuid,
    ...withinStaging(decideRound(servers), servers, options.access.stageAhead),
    open: openLog(listed.at(-1), options.nowMs),
    heads: stores.map(({ id, state }) => ({ store: id, ...state.head })),
    archivedThrough: primary === undefined ? null : archivedThroughOf(primary.state, serverUuid),
  };
}

/** All that a source was and is, the present server last. */
export function serversOf({ earlier, present }: SourceView): readonly ServerView[] {
  return [...earlier, present];
}

/** Reads everything that decides a round, and changes nothing. @throws as `discover` */
export async function viewSource(options: DiscoverOptions): Promise<SourceView> {
  const facts = await archivableFacts(options.session);
  return viewLogs(options, facts, await readStores(options));
}

async function viewOrStage(options: DiscoverOptions): Promise<SourceView> {
  const facts = await archivableFacts(options.session);
  let stores: ServerView['stores'];
  try {
    stores = await readStores(options);
  } catch (error) {
    await stageClosed(options, options.repositories.all);
    throw error;
  }
  return viewLogs(options, facts, stores);
}

/**
 * Stages what the server has closed, without reading a catalog: while one cannot be read, and while
 * transfers last. What all catalogs are known to name is left out.
 *
 * @throws refused as `discover`; unavailable `StagingFull`
 */
export async function stageClosed(options: LookOptions, repositories: readonly Repository[]): Promise<void> {
  const facts = await archivableFacts(options.session);
  const known = repositories.flatMap(({ store, catalog }) =>
    catalog.known === null ? [] : [{ id: store.id, state: catalog.known }],
  );
  // A catalog that nobody has read yet may lack what the others name.
  const stores = known.length === repositories.length ? known : [];
  await stageUnread((await viewLogs(options, facts, stores)).present, options.access);
}

async function tidy(stagingDir: string, present: ServerView): Promise<void> {
  for (const serverUuid of await listStagedServers(stagingDir)) {
    const isPresent = serverUuid === present.serverUuid;
    await removeLeftovers(stagingDir, serverUuid, isPresent ? wantedStems(present) : new Set());
  }
}

function readStores({ repositories, heads }: DiscoverOptions): Promise<ServerView['stores']> {
  return Promise.all(
    repositories.all.map(async ({ store, catalog }) => {
      const seen = heads.get(store.id);
      return { id: store.id, state: await catalog.read(seen === undefined ? {} : { expectAtLeast: seen }) };
    }),
  );
}

async function viewLogs(
  options: LookOptions,
  facts: ServerFacts,
  stores: ServerView['stores'],
): Promise<SourceView> {
  const { source, session, access, cache, setAside, givenUp } = options;
  const { serverUuid, gtidMode } = facts;
  // Staged logs are read before the listing: one that is staged in between would else be taken for purged.
  const staged = await readStagedServers(source.stagingDir, serverUuid, cache);
  const listed = await access.readHeads({
    serverUuid,
    listed: await readBinaryLogs(session),
    relist: () => relist(session),
    stores: stores.map(({ state }) => state),
  });
  const shared = { stores, setAside, givenUp, mode: access.mode, redundancy: source.redundancy };
  return {
    facts,
    // No server vouches for these any more; they were written with GTIDs, or they are refused when they are sealed.
    earlier: staged.earlier.map((server) => ({ ...server, ...shared, listed: [], gtidMode: 'ON' })),
    present: { ...shared, serverUuid, gtidMode, listed, staged: staged.present },
  };
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
