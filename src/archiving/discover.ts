import type { CatalogHead } from '../catalog/chain.ts';
import type { SourceConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import { readBinaryLogs, readServerFacts, type ServerFacts } from '../mysql/facts.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { archivedThroughOf, decideRound, type RoundView } from './decide-round.ts';
import type { Discovery, LetterRef, OpenLog } from './discovery.ts';
import type { Repositories } from './repositories.ts';
import { type PeekCache, readSourceLogs, type SourceLog } from './source-logs.ts';
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
 * each closed log. Changes nothing but what crashes left in the staging folder.
 *
 * @throws refused `GtidModeOff`, `BinlogOff`, `WrongBinlogDir`, `RepositoryMissing`; corrupt
 *   `CatalogBroken`; unavailable
 */
export async function discover(options: DiscoverOptions): Promise<Discovery> {
  const view = await viewSource(options);
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
  const { source, session, cache, repositories, heads, setAside, givenUp } = options;
  const facts = await readServerFacts(session);
  const { serverUuid, gtidMode } = facts;
  assertArchivable(facts, session.where);
  const stores = await Promise.all(
    repositories.all.map(async ({ store, catalog }) => {
      const seen = heads.get(store.id);
      return { id: store.id, state: await catalog.read(seen === undefined ? {} : { expectAtLeast: seen }) };
    }),
  );
  // Staged logs are read before the listing: one that is staged in between would else be taken for purged.
  const staged = (await readStagedLogs(source.stagingDir, serverUuid, cache)).map((it) => it.source);
  const listing = await readBinaryLogs(session);
  const listed = await readSourceLogs(source.binlogDir, listing, cache, () => relist(session));
  return { serverUuid, gtidMode, listed, staged, setAside, givenUp, stores, facts };
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
