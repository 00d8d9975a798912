import { GtidSet } from './gtid-set.ts';
import type { BinlogName, ServerUuid } from './identity.ts';
import { binlogIndex } from './identity.ts';
import type { SegmentFacts } from './segment.ts';

/** What decides whether two logs are the same file, and where a log stands in its server's history. */
export type ArchivedLog = Pick<
  SegmentFacts,
  'serverUuid' | 'binlog' | 'lengthBytes' | 'createdAt' | 'firstCommit' | 'previousGtids' | 'gtids' | 'sha256'
>;

/** The start of a binlog: what FORMAT_DESCRIPTION and PREVIOUS_GTIDS say. */
export interface LogHead {
  readonly binlog: BinlogName;
  /** RFC 3339, whole seconds. */
  readonly createdAt: string;
  readonly previousGtids: string;
}

/** That a handoff named a server to go on with the timeline of others. */
export interface Heirship {
  readonly timeline: number;
  /** What the server has executed and none of its logs holds, canonical. */
  readonly baselineGtids: string;
  /** All that lies archived on the timeline, of whatever server, or was logged before its first log; canonical. */
  readonly coveredGtids: string;
}

/** One server's newest timeline: what is archived of it, in archive order. Plain JSON. */
export interface LineState {
  readonly serverUuid: ServerUuid;
  readonly timeline: number;
  /** Null where the server began the timeline itself, and nobody else went on with it. */
  readonly heirship: Heirship | null;
  /** The server's own. Only the last one decides continuity; the others are there to recognise a log that comes again. */
  readonly segments: readonly ArchivedLog[];
  /** GTIDs which an operator or a newer base backup gave up, canonical; '' for none. */
  readonly acceptedGaps: string;
}

/** Where a log stands after what is archived of its server. */
export type LogPlace =
  | { readonly kind: 'continues'; readonly timeline: number }
  | {
      readonly kind: 'starts-timeline';
      readonly reason: 'first' | 'reset' | 'diverged';
      /** The line which this log does not continue; null where the server has none. */
      readonly after: number | null;
      readonly detail: string;
    }
  | {
      readonly kind: 'gap';
      readonly timeline: number;
      readonly missingGtids: string;
      readonly detail: string;
    }
  | { readonly kind: 'late'; readonly detail: string };

/** All that was logged up to the end of the last archived segment of the line, gaps included. */
export function archivedThrough(line: LineState): GtidSet {
  const last = line.segments.at(-1);
  if (last === undefined) return GtidSet.EMPTY;
  return GtidSet.parse(last.previousGtids).union(GtidSet.parse(last.gtids));
}

function baseName(binlog: BinlogName): string {
  return binlog.slice(0, binlog.lastIndexOf('.'));
}

/** True where the server counts its log names from a lower number than what is archived: only a reset does that. */
function namesRestarted(last: ArchivedLog, head: LogHead): boolean {
  return (
    baseName(last.binlog) === baseName(head.binlog) && binlogIndex(head.binlog) <= binlogIndex(last.binlog)
  );
}

/**
 * True for a log of the line's own past that was passed over (its gap accepted) and comes now: by
 * time, name and PREVIOUS_GTIDS it fits between the archived logs beside it. Its time alone proves
 * nothing: where the clock was set back, a log written after a reset looks older, and must not be dropped.
 */
function isLate(line: LineState, last: ArchivedLog, head: LogHead): boolean {
  if (!namesRestarted(last, head) || head.createdAt >= last.createdAt) return false;
  const index = binlogIndex(head.binlog);
  const named = line.segments.filter(({ binlog }) => baseName(binlog) === baseName(head.binlog));
  const behind = named.find((segment) => binlogIndex(segment.binlog) >= index);
  if (behind === undefined || behind.binlog === head.binlog) return false;
  const before = named.findLast((segment) => binlogIndex(segment.binlog) < index);
  const previous = GtidSet.parse(head.previousGtids);
  if (!previous.isSubsetOf(GtidSet.parse(behind.previousGtids))) return false;
  // A line that begins in the midst of a history leaves out the logs before its first.
  if (before === undefined) return behind.previousGtids !== '' && head.createdAt <= behind.createdAt;
  return GtidSet.parse(before.previousGtids).union(GtidSet.parse(before.gtids)).isSubsetOf(previous);
}

function placeOfContradiction(line: LineState, head: LogHead, lacking: GtidSet): LogPlace {
  const previous = GtidSet.parse(head.previousGtids);
  const reason = previous.isEmpty ? 'reset' : 'diverged';
  const what =
    reason === 'reset'
      ? 'starts from an empty GTID history (RESET BINARY LOGS AND GTIDS)'
      : 'comes from a history that lacks archived transactions (restored from a backup, or failed over)';
  return {
    kind: 'starts-timeline',
    reason,
    after: line.timeline,
    detail: `${head.binlog} ${what}: ${lacking.count()} transactions of timeline ${line.timeline} are not before it: ${printShort(lacking)}.`,
  };
}

/**
 * Decides where a log stands by its head alone: PREVIOUS_GTIDS must equal all that was archived
 * of this server's line. More is a gap, less is another history.
 */
export function placeLog(line: LineState | null, head: LogHead): LogPlace {
  if (line === null) {
    return {
      kind: 'starts-timeline',
      reason: 'first',
      after: null,
      detail: `${head.binlog} is the first log archived of this server.`,
    };
  }
  const last = line.segments.at(-1);
  const previous = executedBefore(line, head);
  if (last === undefined) return placeFirst(line, head, previous);
  if (isLate(line, last, head)) {
    return {
      kind: 'late',
      detail: `${head.binlog} (created ${head.createdAt}) comes before ${last.binlog}, which is archived already.`,
    };
  }
  const through = archivedThrough(line);
  const lacking = through.subtract(previous);
  if (!lacking.isEmpty) return placeOfContradiction(line, head, lacking);
  if (namesRestarted(last, head)) {
    return {
      kind: 'starts-timeline',
      reason: 'reset',
      after: line.timeline,
      detail: `${head.binlog} (created ${head.createdAt}) counts from a lower number than the archived ${last.binlog} (created ${last.createdAt}): the binary logs were reset.`,
    };
  }
  return placeBehind(
    line,
    missingBefore(line, previous),
    `between the archived ${last.binlog} and ${head.binlog}`,
  );
}

/** A crash between the entry that starts a timeline and its first segment leaves it empty; an heir may begin in its midst. */
function placeFirst(line: LineState, head: LogHead, previous: GtidSet): LogPlace {
  if (line.heirship === null) return { kind: 'continues', timeline: line.timeline };
  return placeBehind(line, missingBefore(line, previous), `before ${head.binlog}, the first of its server,`);
}

/** What the server had executed when it began the log. */
function executedBefore({ heirship }: LineState, { previousGtids }: LogHead): GtidSet {
  return GtidSet.parse(previousGtids).union(GtidSet.parse(heirship?.baselineGtids ?? ''));
}

/** What was executed, and is neither archived by anyone on this timeline nor given up. */
function missingBefore(line: LineState, executed: GtidSet): GtidSet {
  const covered = archivedThrough(line).union(GtidSet.parse(line.heirship?.coveredGtids ?? ''));
  return executed.subtract(covered).subtract(GtidSet.parse(line.acceptedGaps));
}

function placeBehind({ timeline }: LineState, missing: GtidSet, where: string): LogPlace {
  if (missing.isEmpty) return { kind: 'continues', timeline };
  return {
    kind: 'gap',
    timeline,
    missingGtids: missing.toString(),
    detail: `${missing.count()} transactions ${where} are in no log that can be archived: ${printShort(missing)}. Restore targets among them are lost; targets after them need a base backup taken after them.`,
  };
}

/** A set for a sentence: on one line, and cut where it is long. */
export function printShort(set: GtidSet): string {
  const ranges = set.ranges();
  const shown = ranges.slice(0, 5).join(', ');
  return ranges.length > 5 ? `${shown} and ${ranges.length - 5} more ranges` : shown;
}
