import { GtidSet } from '../domain/gtid-set.ts';
import { microsFromSeconds } from '../domain/time.ts';
import { EVENT } from './event-types.ts';
import type { OpenTransaction, ScanReport } from './facts.ts';
import type { FormatDescription } from './format-description.ts';
import type { CutEvent } from './framer.ts';
import type { GtidHistory } from './gtid-history.ts';
import { type BinlogProblem, type ProblemCode, problemAt } from './problem.ts';
import type { ScanTally } from './scan-tally.ts';

/** What a scanner knows of a log so far. */
export interface ScanState {
  readonly file: string;
  readonly format: FormatDescription | null;
  readonly previousGtids: GtidSet | null;
  readonly history: GtidHistory | null;
  readonly open: OpenTransaction | null;
  readonly closedBy: 'rotate' | 'stop' | null;
  readonly nextBinlog: string | null;
  readonly lengthBytes: number;
  readonly tally: ScanTally;
}

/** The report on what is known, with the given problems. */
export function reportOn(state: ScanState, problems: readonly BinlogProblem[]): ScanReport {
  const { format, tally, closedBy } = state;
  return {
    file: state.file,
    serverVersion: format?.serverVersion ?? null,
    createdAt: format === null ? null : microsFromSeconds(format.createdAtSeconds),
    serverId: format?.serverId ?? null,
    checksum: format?.checksum ?? null,
    previousGtids: state.previousGtids,
    gtids: state.history?.build() ?? GtidSet.EMPTY,
    transactions: tally.transactions,
    anonymousTransactions: tally.anonymousTransactions,
    events: tally.events,
    lengthBytes: state.lengthBytes,
    firstCommit: tally.firstCommit,
    lastCommit: tally.lastCommit,
    maxCommit: tally.maxCommit,
    clockInversions: tally.clockInversions,
    closed: closedBy !== null && problems.length === 0,
    closedBy,
    nextBinlog: state.nextBinlog,
    inUse: format?.inUse ?? false,
    sha256: null,
    problems,
    eventDdl: tally.eventDdl,
    xaPrepares: tally.xaPrepares,
    temporaryTables: tally.temporaryTables,
    payloads: tally.payloads,
    largestPayloadBytes: tally.largestPayloadBytes,
  };
}

/** What only the end of a file shows: a cut, or a flag that contradicts. */
export function endingProblems(state: ScanState, cut: CutEvent | null, offset: number): BinlogProblem[] {
  const problems: BinlogProblem[] = [];
  const add = (at: number, type: number | null, code: ProblemCode, reason: string): void => {
    problems.push(problemAt({ file: state.file, offset: at, type }, code, reason));
  };
  if (cut !== null) {
    const whole = cut.header === null ? "an event's header" : `its ${cut.header.sizeBytes}`;
    const reason = `the file ends after ${cut.haveBytes} bytes of ${whole}`;
    add(cut.offset, cut.header?.type ?? null, 'cut-inside-event', reason);
  } else if (state.format === null) {
    add(offset, null, 'format-description-missing', 'the file ends before FORMAT_DESCRIPTION');
  } else if (state.previousGtids === null) {
    add(offset, null, 'previous-gtids-missing', 'the file ends before PREVIOUS_GTIDS');
  }
  if (state.open !== null) {
    const reason = `the file ends inside the transaction that began at ${state.open.startOffset}`;
    add(offset, null, 'cut-inside-transaction', reason);
  }
  if (state.format?.inUse && state.closedBy !== null) {
    const end = state.closedBy.toUpperCase();
    const reason = `the log ends with ${end}, and FORMAT_DESCRIPTION says that it is open`;
    add(4, EVENT.FORMAT_DESCRIPTION, 'in-use-but-closed', reason);
  }
  return problems;
}
