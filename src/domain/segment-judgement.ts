import { type LineState, type LogPlace, placeLog, printShort } from './archive-line.ts';
import { GtidSet } from './gtid-set.ts';
import type { ClosedBy, SegmentFacts } from './segment.ts';

/** Whether a scanned segment may be committed, and on which timeline. */
export type SegmentJudgement =
  | LogPlace
  | { readonly kind: 'already-archived'; readonly timeline: number }
  /** The same log by name, length, time and history, with other bytes: something changed it. */
  | { readonly kind: 'other-content'; readonly detail: string }
  /**
   * To be committed at its place, with an alarm: no plan replays through it, so restores need a
   * base backup after it. Left out, it would be a hole that GTID arithmetic cannot see.
   */
  | { readonly kind: 'anonymous'; readonly count: number; readonly place: LogPlace; readonly detail: string }
  /** The facts contradict each other; no server writes such a log. */
  | { readonly kind: 'contradiction'; readonly detail: string };

function contradiction(facts: SegmentFacts): string | null {
  const gtids = GtidSet.parse(facts.gtids);
  const again = gtids.intersect(GtidSet.parse(facts.previousGtids));
  if (!again.isEmpty) {
    return `${facts.binlog} holds transactions that its own PREVIOUS_GTIDS says were logged before it: ${printShort(again)}.`;
  }
  const identified = BigInt(facts.transactions - facts.anonymousTransactions);
  if (gtids.count() === identified) return null;
  return `${facts.binlog} holds ${identified} transactions with ${gtids.count()} different GTIDs: one GTID stands in it twice.`;
}

/**
 * Judges a segment at its commit, when its GTIDs are known: `line` is the newest timeline of its
 * server as the catalog has it now, null where the server has none.
 */
export function judgeSegment(line: LineState | null, facts: SegmentFacts): SegmentJudgement {
  const same = line?.segments.find(
    (segment) =>
      segment.serverUuid === facts.serverUuid &&
      segment.binlog === facts.binlog &&
      segment.lengthBytes === facts.lengthBytes &&
      segment.createdAt === facts.createdAt &&
      segment.firstCommit === facts.firstCommit &&
      segment.previousGtids === facts.previousGtids,
  );
  if (line !== null && same !== undefined) {
    if (same.sha256 === facts.sha256) return { kind: 'already-archived', timeline: line.timeline };
    return {
      kind: 'other-content',
      detail: `${facts.binlog} is archived with SHA-256 ${same.sha256}, and now has ${facts.sha256} at the same length: one of the two was altered.`,
    };
  }
  const detail = contradiction(facts);
  if (detail !== null) return { kind: 'contradiction', detail };
  const place = placeLog(line, facts);
  if (facts.anonymousTransactions === 0) return place;
  return {
    kind: 'anonymous',
    count: facts.anonymousTransactions,
    place,
    detail: `${facts.binlog} holds ${facts.anonymousTransactions} transactions without a GTID, which no restore can place exactly: set gtid_mode=ON and take a base backup after it.`,
  };
}

/** What is known of a log that may be closed. */
export interface ClosedFacts {
  /** Its place in SHOW BINARY LOGS. */
  readonly position: 'last' | 'followed';
  /** Size in SHOW BINARY LOGS, and size of what was read. */
  readonly listedSize: number;
  readonly actualLength: number;
  readonly endsIn: 'rotate' | 'stop' | 'neither';
  readonly ownPrevious: string;
  readonly ownGtids: string;
  /** PREVIOUS_GTIDS of the next log; null where it was not read. */
  readonly successorPrevious: string | null;
}

export type ClosedJudgement =
  | { readonly kind: 'closed'; readonly closedBy: ClosedBy }
  | {
      readonly kind: 'not-closed';
      readonly reason: 'open' | 'shorter-than-listed' | 'longer-than-listed' | 'successor-unread' | 'cut';
      readonly detail: string;
    };

function notClosed(
  reason: Extract<ClosedJudgement, { kind: 'not-closed' }>['reason'],
  detail: string,
): ClosedJudgement {
  return { kind: 'not-closed', reason, detail };
}

/**
 * Decides whether a log is closed and whole: it is not the last one, has the listed size, and
 * ends in ROTATE or STOP; after a crash it ends in neither, and then its successor's
 * PREVIOUS_GTIDS must equal its own plus its GTIDs.
 */
export function judgeClosed(facts: ClosedFacts): ClosedJudgement {
  const { listedSize, actualLength } = facts;
  if (facts.position === 'last') return notClosed('open', 'It is the log that the server writes now.');
  if (actualLength < listedSize) {
    return notClosed(
      'shorter-than-listed',
      `It has ${actualLength} bytes where the server lists ${listedSize}: it was cut.`,
    );
  }
  if (actualLength > listedSize) {
    return notClosed(
      'longer-than-listed',
      `It has ${actualLength} bytes where the server lists ${listedSize}: it grew after the listing.`,
    );
  }
  if (facts.endsIn !== 'neither') return { kind: 'closed', closedBy: facts.endsIn };
  if (facts.successorPrevious === null) {
    return notClosed(
      'successor-unread',
      'It ends without ROTATE or STOP, and the next log was not read yet.',
    );
  }
  const own = GtidSet.parse(facts.ownPrevious).union(GtidSet.parse(facts.ownGtids));
  const successor = GtidSet.parse(facts.successorPrevious);
  if (own.equals(successor)) return { kind: 'closed', closedBy: 'recovery' };
  const lost = successor.subtract(own);
  const extra = own.subtract(successor);
  return notClosed(
    'cut',
    `It ends without ROTATE or STOP, and the next log disagrees: ${lost.isEmpty ? 'nothing' : printShort(lost)} is missing at its end, ${extra.isEmpty ? 'nothing' : printShort(extra)} is unknown to the next log.`,
  );
}
