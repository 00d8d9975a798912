import { AppError, type ErrorFacts, type ErrorKind } from '../domain/errors.ts';
import { REFUSED_BINLOG } from '../domain/refused-binlog.ts';
import type { LogRef } from './staging.ts';

interface Refusal {
  readonly code: string;
  readonly kind: Extract<ErrorKind, 'corrupt' | 'refused' | 'conflict'>;
  readonly message: string;
  readonly hint: string;
  readonly facts?: ErrorFacts;
}

/** A binlog that cannot be archived as it is, however often it is tried: it goes to the dead-letter list. */
export function segmentRefused(log: LogRef, refusal: Refusal): AppError {
  const { serverUuid, binlog } = log;
  return new AppError({ ...refusal, facts: { ...refusal.facts, serverUuid, [REFUSED_BINLOG]: binlog } });
}

/** A log that is not the file that was seen before; a new look at the server tells what it is now. */
export function logChanged(log: LogRef, what: string): AppError {
  return new AppError({
    code: 'BinlogChanged',
    kind: 'unavailable',
    message: `${log.binlog} is not the file that was listed (${what}), so it was not archived in this round.`,
    hint: 'Nothing to do: the next round looks at the server again.',
    facts: { binlog: log.binlog, serverUuid: log.serverUuid, lengthBytes: log.lengthBytes },
  });
}

/** A log was replaced between the listing and the look at it. */
export function listingChanged(name: string): AppError {
  return new AppError({
    code: 'BinlogsChanged',
    kind: 'unavailable',
    message: `The server's binlogs changed while they were read (${name} was replaced), so this look is void.`,
    hint: 'Nothing to do: the next look sees what is there then.',
    facts: { binlog: name },
  });
}

/** The server removed a log before it was staged. */
export function logPurged(log: LogRef, path: string): AppError {
  return new AppError({
    code: 'BinlogPurged',
    kind: 'unavailable',
    message: `${log.binlog} is gone from ${path}: the server purged it before it was staged.`,
    hint: 'The next round names the transactions that cannot be archived any more.',
    facts: { binlog: log.binlog, serverUuid: log.serverUuid, path },
  });
}
