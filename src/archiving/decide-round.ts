import type { CatalogState } from '../catalog/fold.ts';
import type { ArchiveDecision } from '../domain/archive-plan.ts';
import type { BinlogName, ServerUuid } from '../domain/identity.ts';
import type { Discovery, LetterRef, LogProblem, PlannedLog } from './discovery.ts';
import { newestLine } from './line.ts';
import { closedInOrder, refOf, type ServerLogs, stemOf } from './log-order.ts';
import { overtaken, problemOf } from './log-problems.ts';
import { type ClosedLog, isSettled, joinPlans, planFor } from './round-plan.ts';
import type { Decided, RoundDecision, ServerView } from './server-view.ts';
import type { SourceLog } from './source-logs.ts';
import { type LogRef, stagedStem } from './staging.ts';
import { planRoom, type StagingRoom, storeIds } from './staging-room.ts';
import { isHalfKnown, isLacking, storeNeeds, takersOf } from './store-needs.ts';

/** How many logs one round stages or releases, archives, and reports: history and payloads stay small. */
const MAX_STAGED = 400;
const MAX_ARCHIVED = 60;
const MAX_PROBLEMS = 40;

interface ServerRound extends Pick<Discovery, 'archive' | 'problems'> {
  readonly decided: readonly Decided[];
  /** Closed logs that a store which counts lacks. */
  readonly pending: readonly Decided[];
}

/**
 * Decides for each closed log of a source, staged or listed, what this round does with it. A source
 * is one server now, the last of these; what it was before, under another server_uuid, comes first,
 * for the newest timeline is the one that is restored. Pure.
 */
export function decideRound(
  servers: readonly ServerView[],
  stagingMaxBytes = Number.POSITIVE_INFINITY,
): RoundDecision {
  const decided = servers.map(decideLogs);
  const staging = planRoom(servers, decided, stagingMaxBytes);
  const all: ServerRound[] = [];
  for (const [index, view] of servers.entries()) {
    const earlier = servers.slice(0, index).filter((_, at) => isPending(all[at]));
    const round = decideServer(view, decided[index] ?? [], staging);
    all.push(inTurn(view, round, earlier, servers.slice(index + 1)));
  }
  const pending = all.flatMap((round) => round.pending);
  return {
    stage: staging.stage.slice(0, MAX_STAGED),
    archive: limited(all.flatMap(({ archive }) => archive)),
    release: staging.release.slice(0, MAX_STAGED),
    // The oldest ones: what is behind them comes up once they are dealt with.
    problems: all.flatMap((round, index) => certain(servers[index], round)).slice(0, MAX_PROBLEMS),
    backlog: { logs: pending.length, bytes: pending.reduce((sum, { source }) => sum + source.sizeBytes, 0) },
    stores: storeNeeds(servers, all, staging),
    pending: new Set(pending.flatMap(({ ref }) => (ref === null ? [] : [stagedStem(ref)]))),
    lies: staging.lies,
  };
}

/** What is a problem whatever a store holds of which nothing is known now: it may be the one without the gap. */
function certain(view: ServerView | undefined, { problems }: ServerRound): readonly LogProblem[] {
  if (view === undefined || !isHalfKnown(view)) return problems;
  return problems.filter(({ code }) => code !== 'ArchiveGap' && code !== 'HistoryOvertaken');
}

/** The next logs of each store: one that is far behind does not fill the list for the others. */
function limited(archive: readonly PlannedLog[]): PlannedLog[] {
  const counts = new Map<string, number>();
  return archive.flatMap((planned) => {
    const stores = planned.stores.filter((store) => (counts.get(store) ?? 0) < MAX_ARCHIVED);
    for (const store of stores) counts.set(store, (counts.get(store) ?? 0) + 1);
    return stores.length === 0 ? [] : [{ ...planned, stores }];
  });
}

function isPending(decision: ServerRound | undefined): boolean {
  return decision !== undefined && decision.pending.length > 0;
}

/** Keeps timelines in the order of their servers: each begins after those before it, and before those behind it. */
function inTurn(
  view: ServerView,
  decision: ServerRound,
  earlier: readonly ServerView[],
  later: readonly ServerView[],
): ServerRound {
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

function decideServer(view: ServerView, decided: readonly Decided[], staging: StagingRoom): ServerRound {
  return {
    decided,
    pending: decided.filter((log) => view.required.some((store) => isLacking(log, store))),
    archive: plannedLogs(view, decided, staging),
    problems: decided.flatMap(({ source, decision }) => problemOf(view.serverUuid, source, decision)),
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
  const facts = { serverUuid, gtidMode, mode, redundancy, closed, open };
  const plans = view.stores.map(({ id, state }) => ({ id, plan: planFor(state, facts) }));
  const others = view.followers.map(({ id, state }) => ({ id, plan: planFor(state, facts) }));
  return joinPlans(plans.map(({ plan }) => plan)).map((decision, index) => {
    const { source } = closed[index] as ClosedLog;
    return {
      source,
      ref: refOf(serverUuid, source),
      decision,
      lies: stagedStems.has(stemOf(serverUuid, source)) ? 'staged' : 'listed',
      stands: standingOf(decision, matches(serverUuid, givenUp, source) ? 'given-up' : 'wanted'),
      byStore: new Map(
        [...plans, ...others].flatMap(({ id, plan }) => {
          const own = plan[index];
          return own === undefined ? [] : [[id, own] as const];
        }),
      ),
    };
  });
}

/** The logs that go to stores now, each with those that take it. */
function plannedLogs(view: ServerView, decided: readonly Decided[], staging: StagingRoom): PlannedLog[] {
  const open = view.listed.at(-1);
  const takers = takersOf(view, decided, staging);
  return decided.flatMap((log, index) => {
    const { ref } = log;
    const stores = takers[index] ?? [];
    if (ref === null || stores.length === 0) return [];
    const lackedBy = storeIds(view).filter((store) => isLacking(log, store));
    const behind =
      index + 1 < decided.length ? decided[index + 1]?.ref : open && refOf(view.serverUuid, open);
    return [{ log: ref, successor: behind ?? null, stores, lackedBy }];
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
