import { type ArchivedLog, type Heirship, type LineState, type LogPlace, placeLog } from './archive-line.ts';
import { assertNever } from './errors.ts';
import { type BinlogName, isBinlogName, parseBinlogName, type ServerUuid } from './identity.ts';

/** A line of SHOW BINARY LOGS. */
export interface ListedBinlog {
  readonly name: string;
  readonly sizeBytes: number;
  readonly encrypted: boolean;
  /**
   * `set-aside`: on the dead-letter list, where it waits for an operator, or given up. `recognized`: each
   * of its transactions lies archived in other servers' logs.
   */
  readonly standing: 'wanted' | 'set-aside' | 'recognized';
  /** Its FORMAT_DESCRIPTION and PREVIOUS_GTIDS; null while nobody has read them. */
  readonly head: {
    readonly createdAt: string;
    readonly previousGtids: string;
    /** Commit time of its first transaction, which tells two logs of one second apart; null where it has none. */
    readonly firstCommit: string | null;
  } | null;
}

/** Everything that decides what to archive; plain JSON. */
export interface ArchiveFacts {
  readonly serverUuid: ServerUuid;
  readonly gtidMode: 'ON' | 'ON_PERMISSIVE' | 'OFF_PERMISSIVE' | 'OFF';
  /** `host` reads the files on disk, `remote` reads as a replica. */
  readonly mode: 'host' | 'remote';
  /** In the order of SHOW BINARY LOGS; the last one is open. */
  readonly listed: readonly ListedBinlog[];
  /** All that is archived of this server, of every timeline, in catalog order. */
  readonly archived: readonly (ArchivedLog & { readonly timeline: number })[];
  /** Every timeline of the repository. */
  readonly timelines: readonly { readonly timeline: number; readonly serverUuid: ServerUuid }[];
  /** Null where no handoff put the server on the timeline of others. */
  readonly heirship: Heirship | null;
  /** GTIDs given up on this server's newest timeline, canonical. */
  readonly acceptedGaps: string;
}

/** What to do with one closed log, and why. */
export type ArchiveDecision =
  | { readonly kind: 'already-archived'; readonly binlog: BinlogName; readonly timeline: number }
  /** Its transactions lie archived under other names, so it is passed over. */
  | { readonly kind: 'recognized'; readonly binlog: BinlogName }
  /** Nothing can be decided before its head is read; the logs behind it wait. */
  | { readonly kind: 'read-head'; readonly binlog: BinlogName }
  | {
      readonly kind: 'archive';
      readonly binlog: BinlogName;
      readonly sizeBytes: number;
      readonly timeline: number;
    }
  /** Archive it as the first segment of a new timeline. */
  | {
      readonly kind: 'start-timeline';
      readonly binlog: BinlogName;
      readonly sizeBytes: number;
      readonly timeline: number;
      readonly parent: number | null;
      readonly reason: 'first' | 'reset' | 'diverged';
      readonly detail: string;
    }
  /** Not to be archived before the gap is accepted. */
  | {
      readonly kind: 'gap';
      readonly binlog: BinlogName;
      readonly timeline: number;
      readonly missingGtids: string;
      readonly detail: string;
    }
  | { readonly kind: 'waits'; readonly binlog: BinlogName; readonly behind: BinlogName }
  | {
      readonly kind: 'refused';
      readonly binlog: string;
      readonly reason: 'bad-name' | 'encrypted' | 'gtid-mode' | 'set-aside' | 'late';
      readonly detail: string;
    };

export interface ArchivePlan {
  /** One for each closed log, oldest first. */
  readonly decisions: readonly ArchiveDecision[];
  /** The log that the server writes now; null where it lists none. */
  readonly open: string | null;
}

function refusal(facts: ArchiveFacts, log: ListedBinlog): ArchiveDecision | null {
  const refused = (reason: 'bad-name' | 'encrypted' | 'gtid-mode' | 'set-aside', detail: string) =>
    ({ kind: 'refused', binlog: log.name, reason, detail }) as const;
  if (!isBinlogName(log.name)) {
    return refused(
      'bad-name',
      `${JSON.stringify(log.name.slice(0, 80))} is no name that can be stored safely.`,
    );
  }
  if (log.standing === 'set-aside') {
    return refused('set-aside', `${log.name} is on the dead-letter list and waits for a decision.`);
  }
  if (log.encrypted && facts.mode === 'host') {
    return refused(
      'encrypted',
      `${log.name} is encrypted on disk (binlog_encryption=ON), so its file cannot be read: archive this source remotely.`,
    );
  }
  if (facts.gtidMode === 'OFF' || facts.gtidMode === 'OFF_PERMISSIVE') {
    return refused(
      'gtid-mode',
      `gtid_mode is ${facts.gtidMode}, so transactions have no identity and cannot be restored exactly: set gtid_mode=ON.`,
    );
  }
  return null;
}

/** The key by which a listed log is recognised in the catalog: a name alone identifies nothing. */
function identity(log: {
  binlog: string;
  lengthBytes: number;
  createdAt: string;
  previousGtids: string;
  firstCommit: string | null;
}): string {
  return [log.binlog, log.lengthBytes, log.createdAt, log.firstCommit ?? '', log.previousGtids].join('|');
}

/** The newest timeline of this server, as far as archived; null where there is none. */
function newestLine(facts: ArchiveFacts): LineState | null {
  const { serverUuid, heirship, acceptedGaps } = facts;
  const own = facts.timelines.filter((entry) => entry.serverUuid === serverUuid);
  if (heirship === null && own.length === 0) return null;
  const timeline = heirship?.timeline ?? Math.max(...own.map((entry) => entry.timeline));
  const segments = facts.archived.filter((segment) => segment.timeline === timeline);
  return { serverUuid, timeline, heirship, segments, acceptedGaps };
}

/** State while walking the listing from the oldest log on. */
interface Walk {
  readonly facts: ArchiveFacts;
  readonly archivedOn: ReadonlyMap<string, number>;
  readonly line: LineState | null;
  /** The last log that this plan archives, and on which timeline. */
  planned: { readonly binlog: BinlogName; readonly timeline: number; readonly index: number } | null;
  /** The log that all logs after it wait for. */
  blockedBy: BinlogName | null;
}

type PlannedDecision = Extract<ArchiveDecision, { kind: 'archive' | 'start-timeline' }>;

function plan(walk: Walk, index: number, decision: PlannedDecision): ArchiveDecision {
  walk.planned = { binlog: decision.binlog, timeline: decision.timeline, index };
  return decision;
}

function block(walk: Walk, decision: ArchiveDecision & { readonly binlog: BinlogName }): ArchiveDecision {
  walk.blockedBy ??= decision.binlog;
  return decision;
}

function parentOf(facts: ArchiveFacts, place: Extract<LogPlace, { kind: 'starts-timeline' }>): number | null {
  const newest = Math.max(0, ...facts.timelines.map((entry) => entry.timeline));
  return place.after ?? (newest === 0 ? null : newest);
}

function decideByPlace(walk: Walk, index: number, binlog: BinlogName, place: LogPlace): ArchiveDecision {
  const { facts } = walk;
  const sizeBytes = facts.listed[index]?.sizeBytes ?? 0;
  switch (place.kind) {
    case 'continues':
      return plan(walk, index, { kind: 'archive', binlog, sizeBytes, timeline: place.timeline });
    case 'starts-timeline': {
      const timeline = Math.max(0, ...facts.timelines.map((entry) => entry.timeline)) + 1;
      const { reason, detail } = place;
      const parent = parentOf(facts, place);
      return plan(walk, index, {
        kind: 'start-timeline',
        binlog,
        sizeBytes,
        timeline,
        parent,
        reason,
        detail,
      });
    }
    case 'gap': {
      const { timeline, missingGtids, detail } = place;
      return block(walk, { kind: 'gap', binlog, timeline, missingGtids, detail });
    }
    case 'late':
      return { kind: 'refused', binlog, reason: 'late', detail: place.detail };
    default:
      return assertNever(place);
  }
}

/**
 * A log right behind one that this plan archives goes on its timeline: its GTIDs are compared at
 * the commit, when those of the log before it are known. Behind a hole in the plan it waits for
 * that commit, so that a gap can be named exactly.
 */
function decideBehindPlanned(walk: Walk, index: number, binlog: BinlogName): ArchiveDecision | null {
  const { planned } = walk;
  if (planned === null) return null;
  if (planned.index !== index - 1) return { kind: 'waits', binlog, behind: planned.binlog };
  const sizeBytes = walk.facts.listed[index]?.sizeBytes ?? 0;
  return plan(walk, index, { kind: 'archive', binlog, sizeBytes, timeline: planned.timeline });
}

function decide(walk: Walk, log: ListedBinlog, index: number): ArchiveDecision {
  const { name, head } = log;
  if (head !== null && isBinlogName(name)) {
    const timeline = walk.archivedOn.get(identity({ binlog: name, lengthBytes: log.sizeBytes, ...head }));
    if (timeline !== undefined) return { kind: 'already-archived', binlog: name, timeline };
  }
  const refused = refusal(walk.facts, log);
  if (refused !== null) return refused;
  const binlog = parseBinlogName(name);
  if (log.standing === 'recognized') return { kind: 'recognized', binlog };
  if (head === null) return block(walk, { kind: 'read-head', binlog });
  if (walk.blockedBy !== null) return { kind: 'waits', binlog, behind: walk.blockedBy };
  const behind = decideBehindPlanned(walk, index, binlog);
  return behind ?? decideByPlace(walk, index, binlog, placeLog(walk.line, { binlog, ...head }));
}

/**
 * Decides for each closed log of a source, oldest first, what is to be done and why. A log is
 * archived already only if server, name, length, creation time, first commit and PREVIOUS_GTIDS all
 * equal an archived segment: after a reset a log can be as like its forerunner as that. Commits happen in the order of the decisions, each checked by `judgeSegment`.
 */
export function planArchive(facts: ArchiveFacts): ArchivePlan {
  const archivedOn = new Map(
    facts.archived
      .filter((segment) => segment.serverUuid === facts.serverUuid)
      .map((segment) => [identity(segment), segment.timeline] as const),
  );
  const walk: Walk = { facts, archivedOn, line: newestLine(facts), planned: null, blockedBy: null };
  return {
    decisions: facts.listed.slice(0, -1).map((log, index) => decide(walk, log, index)),
    open: facts.listed.at(-1)?.name ?? null,
  };
}
