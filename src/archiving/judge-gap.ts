import type { CatalogState } from '../catalog/fold.ts';
import { placeLog } from '../domain/archive-line.ts';
import { type BinlogName, binlogIndex, isBinlogName } from '../domain/identity.ts';
import { matches } from './decide-round.ts';
import type { LetterRef } from './discovery.ts';
import { newestLine } from './line.ts';
import { closedInOrder } from './log-order.ts';
import { isSettled, planFor } from './round-plan.ts';
import type { ServerView } from './server-view.ts';
import type { SourceLog } from './source-logs.ts';

/** What an operator accepts as lost: the transactions before a log, or a log itself. */
export interface Acceptance {
  readonly letter: LetterRef;
  readonly gives: 'gap' | 'log';
}

/** Which hole an acceptance leaves in one archive. */
export type GapVerdict =
  | { readonly kind: 'gap'; readonly timeline: number; readonly missingGtids: string }
  /** None that is known exactly; where there is one, the next look at the server names it. */
  | { readonly kind: 'none' }
  /** Transactions before it may still be archived, so the hole is not known yet. */
  | { readonly kind: 'too-early'; readonly behind: string };

/** A log in the order of its history, as one store has it. */
interface Standing {
  readonly log: SourceLog;
  readonly stands: 'archived' | 'to-come' | 'given-up' | 'open';
}

const NONE: GapVerdict = { kind: 'none' };

/**
 * Decides which transactions an acceptance gives up in one archive: exactly those that are in no log
 * which may still be archived. `view.givenUp` holds the logs that were given up before, and those
 * that are given up together with this one. Pure.
 */
export function judgeGap(view: ServerView, state: CatalogState, { letter, gives }: Acceptance): GapVerdict {
  const logs = standings(view, state);
  const index = logs.findIndex(({ log }) => matches(view.serverUuid, [letter], log));
  if (index < 0) return NONE;
  const waitsFor = logs.slice(0, index).find(({ stands }) => stands === 'to-come');
  if (waitsFor !== undefined) return { kind: 'too-early', behind: waitsFor.log.name };
  return gives === 'gap' ? gapBefore(view, state, logs[index]) : gapOfRun(view, state, logs, index);
}

/** The logs around one that is given up: those given up beside it, then the first that is archived after them. */
function gapOfRun(
  view: ServerView,
  state: CatalogState,
  logs: readonly Standing[],
  index: number,
): GapVerdict {
  const length = logs.slice(index).findIndex(({ stands }) => stands !== 'given-up');
  const next = length < 0 ? undefined : logs[index + length];
  // A server that is gone writes no log behind its last one: its archive ends before it, without a hole.
  if (next === undefined) return NONE;
  if (next.log.peek === null) return { kind: 'too-early', behind: next.log.name };
  const before = logs.slice(0, index).findLastIndex(({ stands }) => stands !== 'given-up');
  const run = logs.slice(before + 1, index + length).map(({ log }) => log.name);
  const last = newestLine(state, view.serverUuid)?.segments.at(-1)?.binlog;
  // A log that was purged beside them is part of the hole, and nobody has decided on it.
  const isWhole = last !== undefined && areNeighbours([last, ...run, next.log.name]);
  return isWhole ? gapBefore(view, state, next) : NONE;
}

function gapBefore({ serverUuid }: ServerView, state: CatalogState, next: Standing | undefined): GapVerdict {
  const log = next?.log;
  if (log === undefined || log.peek === null || !isBinlogName(log.name)) return NONE;
  const place = placeLog(newestLine(state, serverUuid), { binlog: log.name, ...log.peek });
  return place.kind === 'gap'
    ? { kind: 'gap', timeline: place.timeline, missingGtids: place.missingGtids }
    : NONE;
}

/** True where the server counted these names one after the other. */
function areNeighbours(names: readonly string[]): boolean {
  return names.every((name, index) => {
    const before = names[index - 1];
    return before === undefined || (isBinlogName(before) && isBinlogName(name) && isNext(before, name));
  });
}

function isNext(before: BinlogName, name: BinlogName): boolean {
  return baseOf(before) === baseOf(name) && binlogIndex(name) === binlogIndex(before) + 1;
}

function baseOf(name: BinlogName): string {
  return name.slice(0, name.lastIndexOf('.'));
}

function standings(view: ServerView, state: CatalogState): readonly Standing[] {
  const closed = closedInOrder(view);
  const decisions = planFor(state, {
    serverUuid: view.serverUuid,
    gtidMode: 'ON',
    mode: view.mode,
    redundancy: view.redundancy,
    open: view.listed.at(-1) ?? null,
    closed: closed.map((source) => ({ source, standing: 'wanted' })),
  });
  const open = view.listed.at(-1);
  return [
    ...closed.map((log, index): Standing => {
      const decision = decisions[index];
      if (decision !== undefined && isSettled(decision)) return { log, stands: 'archived' };
      return { log, stands: matches(view.serverUuid, view.givenUp, log) ? 'given-up' : 'to-come' };
    }),
    ...(open === undefined ? [] : [{ log: open, stands: 'open' } as const]),
  ];
}
