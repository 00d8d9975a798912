import type { CatalogHead } from '../catalog/chain.ts';
import type { SourceConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import { readBinaryLogs, readServerFacts, type ServerFacts } from '../mysql/facts.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { archivedThroughOf, decideRound, type RoundView } from './decide-round.ts';
import type { Discovery, LetterRef, OpenLog } from './discovery.ts';
import type { Repositories } from './repositories.ts';
import { type PeekCache, readSourceLogs, type SourceLog } from './source-logs.ts';
import { stageUnread } from './stage-unread.ts';
import { readStagedLogs } from './staged-logs.ts';
import { ensureStagingDir } from './staging.ts';
import { removeLeftovers } from './tidy.ts';

export interface DiscoverOptions {
  readonly source: SourceConfig;
  readonly session: MysqlSession;
  readonly repositories: Repositories;
  /** Heads that were seen before, by store id; a catalog behind one of them was rolled back. */
  readonly heads: ReadonlyMap<string, CatalogHead>;
  /** Dead letters that wait for an operator. */
  readonly setAside: readonly LetterRef[];
  /** Logs that an operator gave up. */
  readonly givenUp: readonly LetterRef[];
  readonly cache: PeekCache;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** A look at a source, before anything is decided. */
export interface SourceView extends RoundView {
  readonly facts: ServerFacts;
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
  const view = await viewOrStage(options);
  await ensureStagingDir(options.source.stagingDir, view.serverUuid);
  await removeLeftovers(options.source.stagingDir, view.serverUuid);
  const [primary] = view.stores;
  return {
    serverUuid: view.serverUuid,
    ...decideRound(view),
    open: openLog(view.listed.at(-1), options.nowMs),
    heads: view.stores.map(({ id, state }) => ({ store: id, ...state.head })),
    archivedThrough: primary === undefined ? null : archivedThroughOf(primary.state, view.serverUuid),
  };
}

/** Reads everything that decides a round, and changes nothing. @throws as `discover` */
export async function viewSource(options: DiscoverOptions): Promise<SourceView> {
  const facts = await archivableFacts(options.session);
  const stores = await readStores(options);
  return { ...(await viewLogs(options, facts)), stores };
}

async function viewOrStage(options: DiscoverOptions): Promise<SourceView> {
  const facts = await archivableFacts(options.session);
  let stores: SourceView['stores'];
  try {
    stores = await readStores(options);
  } catch (error) {
    const known = options.repositories.all.flatMap(({ store, catalog }) =>
      catalog.known === null ? [] : [{ id: store.id, state: catalog.known }],
    );
    await stageUnread({ ...(await viewLogs(options, facts)), stores: known }, options.source);
    throw error;
  }
  return { ...(await viewLogs(options, facts)), stores };
}

function readStores({ repositories, heads }: DiscoverOptions): Promise<SourceView['stores']> {
  return Promise.all(
    repositories.all.map(async ({ store, catalog }) => {
      const seen = heads.get(store.id);
      return { id: store.id, state: await catalog.read(seen === undefined ? {} : { expectAtLeast: seen }) };
    }),
  );
}

async function viewLogs(options: DiscoverOptions, facts: ServerFacts): Promise<Omit<SourceView, 'stores'>> {
  const { source, session, cache, setAside, givenUp } = options;
  const { serverUuid, gtidMode } = facts;
  // Staged logs are read before the listing: one that is staged in between would else be taken for purged.
  const staged = (await readStagedLogs(source.stagingDir, serverUuid, cache)).map((it) => it.source);
  const listing = await readBinaryLogs(session);
  const listed = await readSourceLogs(source.binlogDir, listing, cache, () => relist(session));
  return { serverUuid, gtidMode, listed, staged, setAside, givenUp, facts };
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
  const holds = log.sizeBytes > log.peek.headBytes ? 'transactions' : 'nothing';
  return { binlog: log.name, ageSeconds, holds };
}
