import type { CatalogState } from '../catalog/fold.ts';
import type { LineState } from '../domain/archive-line.ts';
import { type ArchiveDecision, type ListedBinlog, planArchive } from '../domain/archive-plan.ts';
import type { GtidSet } from '../domain/gtid-set.ts';
import type { ServerUuid } from '../domain/identity.ts';
import { fenceOf } from './fence.ts';
import { acceptedGaps, newestLine } from './line.ts';
import { recognizedLogs } from './recognize.ts';
import type { SourceLog } from './source-logs.ts';

/** What decides a round for one server and one store. */
export interface RoundFacts {
  readonly serverUuid: ServerUuid;
  readonly gtidMode: 'ON' | 'ON_PERMISSIVE' | 'OFF_PERMISSIVE' | 'OFF';
  readonly mode: 'host' | 'remote';
  /** Closed logs only, oldest first: what lies staged, then what the server lists. */
  readonly closed: readonly ClosedLog[];
  /** The log behind them; null where the server is gone. */
  readonly open: SourceLog | null;
  /** In how many servers' logs each transaction shall be archived. */
  readonly redundancy: number;
}

/** A closed log, and whether an operator has a say in it. */
export interface ClosedLog {
  readonly source: SourceLog;
  readonly standing: ListedBinlog['standing'];
}

/** The planner takes the last listed log for the open one; a plan over closed logs needs one behind them. */
const OPEN_LOG = {
  name: 'open.999999',
  sizeBytes: 0,
  encrypted: false,
  standing: 'wanted',
  head: null,
} as const;

/** Decides for each closed log what one store lacks of it. Pure. */
export function planFor(state: CatalogState, facts: RoundFacts): readonly ArchiveDecision[] {
  const { serverUuid, gtidMode, mode } = facts;
  const line = newestLine(state, serverUuid);
  const recognized = recognizedLogs(state, line, facts);
  const closed = facts.closed.map((log, index): ClosedLog => {
    return log.standing === 'wanted' && recognized.has(index) ? { ...log, standing: 'recognized' } : log;
  });
  const plan = planArchive({
    serverUuid,
    gtidMode,
    mode,
    listed: [...closed.map(toListed), OPEN_LOG],
    archived: state.segmentsOf(serverUuid).map(({ segment, timeline }) => ({ ...segment, timeline })),
    timelines: state.timelines(),
    heirship: line?.heirship ?? null,
    acceptedGaps: line === null ? '' : passedOver(state, line).toString(),
  });
  return plan.decisions;
}

/** What a log may be missing before it: given up, or brought by the heirs of a server that was handed away. */
function passedOver(state: CatalogState, { serverUuid, timeline }: LineState): GtidSet {
  const gaps = acceptedGaps(state, timeline);
  return fenceOf(state, serverUuid) === null ? gaps : gaps.union(state.archivedThrough(timeline));
}

/**
 * True where a store has a log, or passed it over for good: a late one, whose gap was accepted there,
 * or one whose transactions it has from another server.
 */
export function isSettled(decision: ArchiveDecision): boolean {
  if (decision.kind === 'recognized') return true;
  return decision.kind === 'already-archived' || (decision.kind === 'refused' && decision.reason === 'late');
}

/** How much a decision weighs where stores differ: the log is dealt with as the one that lacks most says. */
const WEIGHT: Readonly<Record<ArchiveDecision['kind'], number>> = {
  'already-archived': 0,
  recognized: 0,
  archive: 1,
  'start-timeline': 1,
  waits: 2,
  'read-head': 3,
  gap: 4,
  refused: 5,
};

function weightOf(decision: ArchiveDecision): number {
  return isSettled(decision) ? 0 : WEIGHT[decision.kind];
}

/** Joins the plans of all stores: a log is archived only where every store has it. Pure. */
export function joinPlans(plans: readonly (readonly ArchiveDecision[])[]): readonly ArchiveDecision[] {
  const [first = [], ...others] = plans;
  return first.map((decision, index) =>
    others.reduce((heaviest, plan) => {
      const other = plan[index] ?? heaviest;
      return weightOf(other) > weightOf(heaviest) ? other : heaviest;
    }, decision),
  );
}

function toListed({ source, standing }: ClosedLog): ListedBinlog {
  const { name, sizeBytes, encrypted, peek } = source;
  const head =
    peek === null
      ? null
      : { createdAt: peek.createdAt, previousGtids: peek.previousGtids, firstCommit: peek.firstCommit };
  return { name, sizeBytes, encrypted, standing, head };
}
