import { AppError } from '../domain/errors.ts';
import type { GtidSet } from '../domain/gtid-set.ts';
import type { SourceState } from './archive-source.ts';
import type { ChannelStatus, WorkerFailure } from './channel.ts';

/** How far a replay is; plain JSON. */
export interface ReplayProgress {
  readonly plannedTransactions: number;
  readonly appliedTransactions: number;
  /** Received by the applier and not applied yet. */
  readonly waitingTransactions: number;
  /** Since the last report. */
  readonly transactionsPerSecond: number;
  readonly bytesSent: number;
  /** Times the server was started again after it had ended by itself. */
  readonly restarts: number;
}

/** Everything that decides whether a replay goes on. */
export interface ReplayFacts {
  readonly expected: GtidSet;
  readonly executed: GtidSet;
  readonly channel: ChannelStatus;
  readonly worker: WorkerFailure | null;
  readonly source: SourceState;
  readonly sourceFailure: AppError | null;
  readonly msSinceProgress: number;
  readonly stallMs: number;
}

export type ReplayVerdict =
  | { readonly kind: 'reached' }
  | { readonly kind: 'applying' }
  /** The receiver gave up, over a byte broken on the way for one, and may go on where it was. */
  | { readonly kind: 'receiver-stopped' }
  | { readonly kind: 'failed'; readonly error: AppError };

/** Code of the error of a transaction that cannot be applied. */
export const APPLIER_FAILED = 'ApplierFailed';

const MAX_GTIDS_IN_MESSAGE = 400;

function shorten(text: string): string {
  const line = text.replaceAll('\n', '');
  return line.length <= MAX_GTIDS_IN_MESSAGE ? line : `${line.slice(0, MAX_GTIDS_IN_MESSAGE)}…`;
}

function failed(error: AppError): ReplayVerdict {
  return { kind: 'failed', error };
}

/** Decides whether the replay has reached its end, goes on, or cannot. */
export function judgeReplay(facts: ReplayFacts): ReplayVerdict {
  const { executed, expected, channel, sourceFailure } = facts;
  const extra = executed.subtract(expected);
  if (!extra.isEmpty) return failed(unplanned(extra));
  if (executed.equals(expected)) return { kind: 'reached' };
  if (channel.applier.state === 'stopped' && channel.applier.errno !== 0) return failed(applierFailed(facts));
  // Reading the same bytes again cannot help where they are damaged; what is only unavailable may come back.
  if (sourceFailure !== null && sourceFailure.kind !== 'unavailable') return failed(sourceFailure);
  const missing = neverSent(facts);
  if (missing !== null) return failed(missing);
  const stuck = isStuck(facts);
  if (stuck && facts.msSinceProgress >= facts.stallMs) return failed(sourceFailure ?? stalled(facts));
  return { kind: channel.receiver.state === 'stopped' ? 'receiver-stopped' : 'applying' };
}

/** A long transaction is no stall: the receiver has heartbeats and no error then. */
function isStuck({ channel, sourceFailure }: ReplayFacts): boolean {
  const { receiver, applier } = channel;
  return (
    sourceFailure !== null ||
    receiver.errno !== 0 ||
    receiver.state !== 'running' ||
    applier.state === 'stopped'
  );
}

/**
 * Where the source has sent all it has, and nothing received waits for the applier, what is not there can
 * never come. While something waits, more may still lie in socket buffers.
 */
function neverSent(facts: ReplayFacts): AppError | null {
  const { source, channel, executed, expected } = facts;
  if (source.kind !== 'everything-sent' || facts.msSinceProgress < facts.stallMs) return null;
  if (channel.receiver.state !== 'running' || !channel.received.isSubsetOf(executed)) return null;
  const missing = expected.subtract(executed);
  if (missing.isEmpty) return null;
  return new AppError({
    code: 'TransactionsNeverSent',
    kind: 'bug',
    message: `The plan expects ${shorten(missing.toString())}, and no planned segment holds them: the replay cannot reach its target.`,
    facts: { missing: shorten(missing.toString()) },
  });
}

function unplanned(extra: GtidSet): AppError {
  const gtids = shorten(extra.toString());
  return new AppError({
    code: 'UnplannedTransactions',
    kind: 'conflict',
    message: `The data folder holds transactions that the plan does not have: ${gtids}. It is not the restore that was asked for.`,
    hint: 'Restore into an empty folder.',
    facts: { extra: gtids },
  });
}

function applierFailed({ channel, worker }: ReplayFacts): AppError {
  const errno = worker?.errno ?? channel.applier.errno;
  const message = worker?.message ?? channel.applier.message;
  const gtid = worker?.gtid ?? '';
  const at = gtid === '' ? 'A transaction' : `Transaction ${gtid}`;
  return new AppError({
    code: APPLIER_FAILED,
    kind: 'refused',
    message: `${at} could not be applied (MySQL error ${errno}): ${shorten(message)} The replay stopped before it.`,
    hint:
      gtid === ''
        ? 'Look into the error log of the applier, in the work folder of the restore.'
        : `Restore to before:${gtid}, or leave it out with --skip-gtid ${gtid}.`,
    facts: { errno, gtid, applierMessage: shorten(message) },
  });
}

function stalled({ channel, msSinceProgress }: ReplayFacts): AppError {
  const { receiver, applier } = channel;
  const words = [receiver.message, applier.message].filter((text) => text !== '').join('; ');
  return new AppError({
    code: 'ReplayStalled',
    kind: 'unavailable',
    message: `Nothing was applied for ${Math.round(msSinceProgress / 1000)} s: the receiver is ${receiver.state}, the applier ${applier.state}. ${shorten(words)}`,
    facts: {
      receiver: receiver.state,
      receiverErrno: receiver.errno,
      applier: applier.state,
      applierErrno: applier.errno,
    },
  });
}
