import { FLAG } from './event-header.ts';
import { EVENT, eventName, isGtidEvent, isKnownEvent } from './event-types.ts';
import { decodeIncident } from './events.ts';
import type { Frame } from './frame.ts';
import { corruptAt, type ProblemCode } from './problem.ts';

/** Events that never belong inside of a transaction; what is not known is one of them. */
export function isForeignToTransactions(type: number): boolean {
  switch (type) {
    case EVENT.GTID:
    case EVENT.ANONYMOUS_GTID:
    case EVENT.GTID_TAGGED:
    case EVENT.FORMAT_DESCRIPTION:
    case EVENT.PREVIOUS_GTIDS:
    case EVENT.ROTATE:
    case EVENT.STOP:
    case EVENT.INCIDENT:
    case EVENT.HEARTBEAT:
    case EVENT.HEARTBEAT_V2:
      return true;
    default:
      return !isKnownEvent(type);
  }
}

/** An event that nothing at its place explains. Returns only where it may be skipped. @throws corrupt */
export function refuseMisplaced(frame: Frame): void {
  const type = frame.type;
  const never = NEVER.get(type);
  if (never !== undefined) throw corruptAt(frame, ...never);
  if ((frame.flags & FLAG.IGNORABLE) !== 0) return;
  if (!isKnownEvent(type)) {
    throw corruptAt(
      frame,
      'unknown-event',
      'its type is not known, and it is not marked as one that may be skipped',
    );
  }
  if (type === EVENT.INCIDENT) {
    const { number, message } = decodeIncident(frame);
    const reason = `the server recorded incident ${number} (${message}): changes may be missing from the log`;
    throw corruptAt(frame, 'incident', reason);
  }
  if (isGtidEvent(type)) {
    throw corruptAt(
      frame,
      'gtid-inside-transaction',
      'a GTID event stands inside a transaction that has not ended',
    );
  }
  if (isForeignToTransactions(type)) {
    throw corruptAt(frame, 'unexpected-event', `${eventName(type)} cannot stand here`);
  }
  throw corruptAt(
    frame,
    'transaction-without-gtid',
    'it belongs to a transaction, and no GTID event opens one before it',
  );
}

const NEVER = new Map<number, [ProblemCode, string]>([
  [
    EVENT.FORMAT_DESCRIPTION,
    ['second-format-description', 'a second FORMAT_DESCRIPTION stands inside the log'],
  ],
  [EVENT.PREVIOUS_GTIDS, ['second-previous-gtids', 'a second PREVIOUS_GTIDS stands inside the log']],
]);
