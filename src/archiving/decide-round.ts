import type { CatalogState } from '../catalog/fold.ts';
import type { ArchiveDecision } from '../domain/archive-plan.ts';
import { assertNever } from '../domain/errors.ts';
import { type BinlogName, isBinlogName, parseBinlogName, type ServerUuid } from '../domain/identity.ts';
import type { Discovery, LetterRef, LogProblem, PlannedLog } from './discovery.ts';
import { newestLine } from './line.ts';
import { joinPlans, planFor } from './round-plan.ts';
import type { SourceLog } from './source-logs.ts';
import { type LogRef, stagedStem } from './staging.ts';

/** How many logs one round stages or releases, archives, and reports: history and payloads stay small. */
const MAX_STAGED = 400;
const MAX_ARCHIVED = 60;
const MAX_PROBLEMS = 40;

/** Everything that decides a round. */
export interface RoundView {
  readonly serverUuid: ServerUuid;
  readonly gtidMode: 'ON' | 'ON_PERMISSIVE' | 'OFF_PERMISSIVE' | 'OFF';
  /** As the server lists them; the last one is open. */
  readonly listed: readonly SourceLog[];
  /** As they lie in the staging folder, oldest first. */
  readonly staged: readonly SourceLog[];
  /** Dead letters that wait for an operator. */
  readonly setAside: readonly LetterRef[];
  /** Logs that an operator gave up: left alone, and missed by nobody. */
  readonly givenUp: readonly LetterRef[];
  readonly stores: readonly { readonly id: string; readonly state: CatalogState }[];
}

/** A closed log, its decision, and where it lies. */
interface Decided {
  readonly source: SourceLog;
  readonly decision: ArchiveDecision;
  readonly lies: 'staged' | 'listed';
  /** `settled`: archived everywhere, or never to be. */
  readonly stands: 'pending' | 'set-aside' | 'settled';
  /** Ids of the stores that lack it. */
  readonly lacking: readonly string[];
}

type RoundDecision = Pick<Discovery, 'stage' | 'archive' | 'release' | 'problems' | 'backlog'>;

/** Decides for each closed log, staged or listed, what this round does with it. Pure. */
export function decideRound(view: RoundView): RoundDecision {
  const decided = decideLogs(view);
  const open = view.listed.at(-1);
  const refs = decided.map(({ source }) => refOf(view.serverUuid, source));
  const pending = decided.filter(({ stands }) => stands !== 'settled');
  return {
    stage: refsWhere(refs, decided, (it) => it.lies === 'listed' && isWorthStaging(it)).slice(0, MAX_STAGED),
    archive: plannedLogs(view, decided, refs, open).slice(0, MAX_ARCHIVED),
    release: refsWhere(refs, decided, (it) => it.lies === 'staged' && it.stands === 'settled').slice(
      0,
      MAX_STAGED,
    ),
    // The oldest ones: what is behind them comes up once they are dealt with.
    problems: decided
      .flatMap(({ source, decision }) => problemOf(view.serverUuid, source, decision))
      .slice(0, MAX_PROBLEMS),
    backlog: {
      logs: pending.length,
      bytes: pending.reduce((sum, { source }) => sum + source.sizeBytes, 0),
    },
  };
}

function decideLogs(view: RoundView): readonly Decided[] {
  const { serverUuid, gtidMode } = view;
  const stagedStems = new Set(view.staged.map((log) => stemOf(serverUuid, log)));
  const listed = view.listed.slice(0, -1);
  const listedStems = new Set(listed.map((log) => stemOf(serverUuid, log)));
  // What is staged and purged comes first: it is older than all that is listed. A dead letter there only waits.
  const purged = view.staged.filter(
    (log) => !listedStems.has(stemOf(serverUuid, log)) && !matches(view.setAside, log),
  );
  const closed = [...purged, ...listed];
  const leftAlone = [...view.setAside, ...view.givenUp];
  const setAside = closed.filter((log) => matches(leftAlone, log)).map(({ name }) => name);
  const plans = view.stores.map(({ state }) => planFor(state, { serverUuid, gtidMode, closed, setAside }));
  return joinPlans(plans).map((decision, index) => {
    const source = closed[index] as SourceLog;
    return {
      source,
      decision,
      lies: stagedStems.has(stemOf(serverUuid, source)) ? 'staged' : 'listed',
      stands: standingOf(decision, matches(view.givenUp, source) ? 'given-up' : 'wanted'),
      lacking: view.stores
        .filter((_, store) => plans[store]?.[index]?.kind !== 'already-archived')
        .map(({ id }) => id),
    };
  });
}

function plannedLogs(
  view: RoundView,
  decided: readonly Decided[],
  refs: readonly (LogRef | null)[],
  open: SourceLog | undefined,
): PlannedLog[] {
  return decided.flatMap(({ decision, lacking }, index) => {
    const log = refs[index];
    if (
      (decision.kind !== 'archive' && decision.kind !== 'start-timeline') ||
      log === null ||
      log === undefined
    )
      return [];
    const behind = index + 1 < decided.length ? refs[index + 1] : open && refOf(view.serverUuid, open);
    return [{ log, successor: behind ?? null, stores: lacking }];
  });
}

/** The identity of a log; null where its beginning is not known. */
function refOf(serverUuid: ServerUuid, source: SourceLog): LogRef | null {
  if (source.peek === null || !isBinlogName(source.name)) return null;
  const { createdAt, firstCommit } = source.peek;
  return {
    serverUuid,
    binlog: parseBinlogName(source.name),
    createdAt,
    firstCommit,
    lengthBytes: source.sizeBytes,
  };
}

/** Closed logs that the server lists and that are not staged yet, archived or not. Pure. */
export function closedRefs({ serverUuid, listed, staged }: RoundView): readonly LogRef[] {
  const stagedStems = new Set(staged.map((log) => stemOf(serverUuid, log)));
  return listed.slice(0, -1).flatMap((log) => {
    const ref = stagedStems.has(stemOf(serverUuid, log)) ? null : refOf(serverUuid, log);
    return ref === null ? [] : [ref];
  });
}

function stemOf(serverUuid: ServerUuid, source: SourceLog): string {
  const ref = refOf(serverUuid, source);
  return ref === null ? source.name : stagedStem(ref);
}

function refsWhere(
  refs: readonly (LogRef | null)[],
  decided: readonly Decided[],
  wanted: (it: Decided) => boolean,
): LogRef[] {
  return refs.filter((ref, index): ref is LogRef => ref !== null && wanted(decided[index] as Decided));
}

function isWorthStaging({ decision }: Decided): boolean {
  return ['archive', 'start-timeline', 'gap', 'waits'].includes(decision.kind);
}

function standingOf(decision: ArchiveDecision, operator: 'given-up' | 'wanted'): Decided['stands'] {
  if (decision.kind === 'already-archived' || operator === 'given-up') return 'settled';
  if (decision.kind !== 'refused') return 'pending';
  // A late log was passed over before: its gap was accepted.
  if (decision.reason === 'late') return 'settled';
  return decision.reason === 'set-aside' ? 'set-aside' : 'pending';
}

function matches(letters: readonly LetterRef[], log: SourceLog): boolean {
  const createdAt = log.peek?.createdAt ?? '';
  return letters.some(
    (letter) =>
      letter.binlog === log.name && letter.createdAt === createdAt && letter.lengthBytes === log.sizeBytes,
  );
}

const REFUSAL_CODES: Readonly<Record<'bad-name' | 'encrypted' | 'gtid-mode', string>> = {
  'bad-name': 'BinlogNameUnsafe',
  encrypted: 'BinlogEncrypted',
  'gtid-mode': 'GtidModeOff',
};

/** What a decision means for the operator; nothing where none is needed. */
function problemOf(serverUuid: ServerUuid, source: SourceLog, decision: ArchiveDecision): LogProblem[] {
  const letter = {
    serverUuid,
    binlog: source.name,
    createdAt: source.peek?.createdAt ?? '',
    lengthBytes: source.sizeBytes,
  };
  switch (decision.kind) {
    case 'gap':
      return [
        {
          ...letter,
          code: 'ArchiveGap',
          kind: 'refused',
          message: decision.detail,
          hint: 'Accept the gap (pitrail archive --accept-gap) and take a base backup after it.',
        },
      ];
    case 'read-head':
      return [
        {
          ...letter,
          code: source.problem?.code ?? 'BinlogUnreadable',
          kind: source.problem?.kind ?? 'corrupt',
          message: source.problem?.message ?? `The beginning of ${source.name} was not read.`,
          hint: source.problem?.hint ?? 'Compare the file with the server.',
        },
      ];
    case 'refused':
      return decision.reason === 'set-aside' || decision.reason === 'late'
        ? []
        : [
            {
              ...letter,
              code: REFUSAL_CODES[decision.reason],
              kind: 'refused',
              message: decision.detail,
              hint: 'Later logs of this server wait until it is mended, or the gap is accepted.',
            },
          ];
    case 'already-archived':
    case 'archive':
    case 'start-timeline':
    case 'waits':
      return [];
    default:
      return assertNever(decision);
  }
}

/** The last log of a server that a catalog names; null where it names none. */
export function archivedThroughOf(state: CatalogState, serverUuid: ServerUuid): Discovery['archivedThrough'] {
  const line = newestLine(state, serverUuid);
  const last = line === null ? undefined : state.segments(line.timeline).at(-1)?.segment;
  if (line === null || last === undefined) return null;
  const binlog: BinlogName = last.binlog;
  return { serverUuid, binlog, timeline: line.timeline, lastCommit: last.lastCommit };
}
