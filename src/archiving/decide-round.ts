import type { CatalogState } from '../catalog/fold.ts';
import type { ArchiveDecision } from '../domain/archive-plan.ts';
import type { BinlogName, ServerUuid } from '../domain/identity.ts';
import type { Discovery, LetterRef, PlannedLog } from './discovery.ts';
import { newestLine } from './line.ts';
import { closedInOrder, refOf, type ServerLogs, stemOf } from './log-order.ts';
import { overtaken, problemOf } from './log-problems.ts';
import { type ClosedLog, isSettled, joinPlans, planFor } from './round-plan.ts';
import type { SourceLog } from './source-logs.ts';
import type { LogRef } from './staging.ts';

/** How many logs one round stages or releases, archives, and reports: history and payloads stay small. */
const MAX_STAGED = 400;
const MAX_ARCHIVED = 60;
const MAX_PROBLEMS = 40;

/** Everything that decides what is done with the logs of one server. */
export interface ServerView extends ServerLogs {
  readonly gtidMode: 'ON' | 'ON_PERMISSIVE' | 'OFF_PERMISSIVE' | 'OFF';
  readonly mode: 'host' | 'remote';
  /** In how many servers' logs each transaction shall be archived. */
  readonly redundancy: number;
  /** Dead letters that wait for an operator. */
  readonly setAside: readonly LetterRef[];
  /** Logs that an operator gave up: left alone, and missed by nobody. */
  readonly givenUp: readonly LetterRef[];
}

/** A closed log, its decision, and where it lies. */
interface Decided {
  readonly source: SourceLog;
  readonly decision: ArchiveDecision;
  readonly lies: 'staged' | 'listed';
  /** `settled`: archived everywhere, or never to be. */
  readonly stands: 'pending' | 'set-aside' | 'settled';
  /** Ids of the stores that lack it. */
  readonly lacking: readonly string[];
}

export type RoundDecision = Pick<Discovery, 'stage' | 'archive' | 'release' | 'problems' | 'backlog'>;

/**
 * Decides for each closed log of a source, staged or listed, what this round does with it. A source
 * is one server now, the last of these; what it was before, under another server_uuid, comes first,
 * for the newest timeline is the one that is restored. Pure.
 */
export function decideRound(servers: readonly ServerView[]): RoundDecision {
  const all: RoundDecision[] = [];
  for (const [index, view] of servers.entries()) {
    const earlier = servers.slice(0, index).filter((_, at) => isPending(all[at]));
    all.push(inTurn(view, decideServer(view), earlier, servers.slice(index + 1)));
  }
  return {
    stage: all.flatMap(({ stage }) => stage).slice(0, MAX_STAGED),
    archive: all.flatMap(({ archive }) => archive).slice(0, MAX_ARCHIVED),
    release: all.flatMap(({ release }) => release).slice(0, MAX_STAGED),
    // The oldest ones: what is behind them comes up once they are dealt with.
    problems: all.flatMap(({ problems }) => problems).slice(0, MAX_PROBLEMS),
    backlog: {
      logs: all.reduce((sum, { backlog }) => sum + backlog.logs, 0),
      bytes: all.reduce((sum, { backlog }) => sum + backlog.bytes, 0),
    },
  };
}

function isPending(decision: RoundDecision | undefined): boolean {
  return decision !== undefined && decision.backlog.logs > 0;
}

/** Keeps timelines in the order of their servers: each begins after those before it, and before those behind it. */
function inTurn(
  view: ServerView,
  decision: RoundDecision,
  earlier: readonly ServerView[],
  later: readonly ServerView[],
): RoundDecision {
  const [first] = decision.archive;
  if (first === undefined) return decision;
  // One that goes on with another's timeline by a handoff has begun, too.
  const begun = (server: ServerView) =>
    view.stores.map(({ state }) => newestLine(state, server.serverUuid) !== null);
  const own = begun(view);
  const isOvertaken = later.some((server) => begun(server).some((has, store) => has && !own[store]));
  if (isOvertaken) {
    return { ...decision, archive: [], problems: [overtaken(first.log), ...decision.problems] };
  }
  const waits = earlier.some((server) => begun(server).some((has, store) => !has && !own[store]));
  return waits ? { ...decision, archive: [] } : decision;
}

function decideServer(view: ServerView): RoundDecision {
  const decided = decideLogs(view);
  const open = view.listed.at(-1);
  const refs = decided.map(({ source }) => refOf(view.serverUuid, source));
  const pending = decided.filter(({ stands }) => stands !== 'settled');
  return {
    stage: refsWhere(refs, decided, (it) => it.lies === 'listed' && isWorthStaging(it)),
    archive: plannedLogs(view, decided, refs, open),
    release: refsWhere(refs, decided, (it) => it.lies === 'staged' && it.stands === 'settled'),
    problems: decided.flatMap(({ source, decision }) => problemOf(view.serverUuid, source, decision)),
    backlog: {
      logs: pending.length,
      bytes: pending.reduce((sum, { source }) => sum + source.sizeBytes, 0),
    },
  };
}

function decideLogs(view: ServerView): readonly Decided[] {
  const { serverUuid, gtidMode, mode, redundancy, givenUp, setAside } = view;
  const open = view.listed.at(-1) ?? null;
  const stagedStems = new Set(view.staged.map((log) => stemOf(serverUuid, log)));
  const closed = closedInOrder(view).map((source): ClosedLog => {
    const isLeftAlone = matches(serverUuid, [...setAside, ...givenUp], source);
    return { source, standing: isLeftAlone ? 'set-aside' : 'wanted' };
  });
  const plans = view.stores.map(({ state }) =>
    planFor(state, { serverUuid, gtidMode, mode, redundancy, closed, open }),
  );
  return joinPlans(plans).map((decision, index) => {
    const { source } = closed[index] as ClosedLog;
    return {
      source,
      decision,
      lies: stagedStems.has(stemOf(serverUuid, source)) ? 'staged' : 'listed',
      stands: standingOf(decision, matches(serverUuid, givenUp, source) ? 'given-up' : 'wanted'),
      lacking: lackingStores(view, plans, index),
    };
  });
}

function lackingStores(
  { stores }: ServerView,
  plans: readonly (readonly ArchiveDecision[])[],
  index: number,
): string[] {
  return stores
    .filter((_, store) => {
      const decision = plans[store]?.[index];
      return decision === undefined || !isSettled(decision);
    })
    .map(({ id }) => id);
}

function plannedLogs(
  view: ServerView,
  decided: readonly Decided[],
  refs: readonly (LogRef | null)[],
  open: SourceLog | undefined,
): PlannedLog[] {
  return decided.flatMap(({ decision, lacking }, index) => {
    const log = refs[index];
    if (
      (decision.kind !== 'archive' && decision.kind !== 'start-timeline') ||
      log === null ||
      log === undefined
    )
      return [];
    const behind = index + 1 < decided.length ? refs[index + 1] : open && refOf(view.serverUuid, open);
    return [{ log, successor: behind ?? null, stores: lacking }];
  });
}

/** Closed logs that the server lists and that are not staged yet, archived or not. Pure. */
export function closedRefs({ serverUuid, listed, staged }: ServerLogs): readonly LogRef[] {
  const stagedStems = new Set(staged.map((log) => stemOf(serverUuid, log)));
  return listed.slice(0, -1).flatMap((log) => {
    const ref = stagedStems.has(stemOf(serverUuid, log)) ? null : refOf(serverUuid, log);
    return ref === null ? [] : [ref];
  });
}

/** Stems under which closed logs that the server lists would lie staged. Pure. */
export function wantedStems({ serverUuid, listed }: ServerLogs): ReadonlySet<string> {
  return new Set(listed.slice(0, -1).map((log) => stemOf(serverUuid, log)));
}

function refsWhere(
  refs: readonly (LogRef | null)[],
  decided: readonly Decided[],
  wanted: (it: Decided) => boolean,
): LogRef[] {
  return refs.filter((ref, index): ref is LogRef => ref !== null && wanted(decided[index] as Decided));
}

function isWorthStaging({ decision }: Decided): boolean {
  return ['archive', 'start-timeline', 'gap', 'waits'].includes(decision.kind);
}

function standingOf(decision: ArchiveDecision, operator: 'given-up' | 'wanted'): Decided['stands'] {
  if (isSettled(decision) || operator === 'given-up') return 'settled';
  return decision.kind === 'refused' && decision.reason === 'set-aside' ? 'set-aside' : 'pending';
}

/** True where one of the letters is about this very log. */
export function matches(serverUuid: ServerUuid, letters: readonly LetterRef[], log: SourceLog): boolean {
  const createdAt = log.peek?.createdAt ?? '';
  return letters.some(
    (letter) =>
      letter.serverUuid === serverUuid &&
      letter.binlog === log.name &&
      letter.createdAt === createdAt &&
      letter.lengthBytes === log.sizeBytes,
  );
}

/** The last log of a server that a catalog names; null where it names none. */
export function archivedThroughOf(state: CatalogState, serverUuid: ServerUuid): Discovery['archivedThrough'] {
  const line = newestLine(state, serverUuid);
  const own = state.segmentsOf(serverUuid).filter(({ timeline }) => timeline === line?.timeline);
  const last = own.at(-1)?.segment;
  if (line === null || last === undefined) return null;
  const binlog: BinlogName = last.binlog;
  return { serverUuid, binlog, timeline: line.timeline, lastCommit: last.lastCommit };
}
