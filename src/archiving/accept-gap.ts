import type { Judgement } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { placeLog } from '../domain/archive-line.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { isBinlogName, type ServerUuid } from '../domain/identity.ts';
import type { Signature } from './commit.ts';
import type { SourceView } from './discover.ts';
import type { LetterRef } from './discovery.ts';
import { newestLine } from './line.ts';
import { type Repositories, repositoryIn } from './repositories.ts';
import type { SourceLog } from './source-logs.ts';

export interface AcceptGapOptions {
  readonly view: SourceView;
  readonly repositories: Repositories;
  /** The dead letter that is given up, or that lies behind the gap. */
  readonly letter: LetterRef;
  /** The operator's words. */
  readonly reason: string;
  readonly sign: Signature;
}

/**
 * Writes down in every store that transactions are lost: those between what is archived and the
 * next log that can follow. Can be run again. A crash between two stores leaves the gap accepted
 * in the first; the next try goes on with the others.
 *
 * @returns what was given up, canonical; '' where nothing is lost
 */
export async function acceptGap(options: AcceptGapOptions): Promise<string> {
  const { view, repositories, letter, reason, sign } = options;
  let lost = GtidSet.EMPTY;
  for (const { id, state } of view.stores) {
    const gap = gapBehind(state, view, letter);
    if (gap === null) continue;
    lost = lost.union(GtidSet.parse(gap.missingGtids));
    const { catalog } = repositoryIn(repositories, id);
    const body = { kind: 'gap-accepted', serverUuid: view.serverUuid, detail: reason, ...gap } as const;
    await catalog.append(body, sign(state), (now) => stillMissing(now, view.serverUuid, gap.missingGtids));
  }
  return lost.toString();
}

interface Gap {
  readonly timeline: number;
  readonly missingGtids: string;
}

/** The gap before the letter's log, or, where that log itself is given up, before the one behind it. */
function gapBehind(state: CatalogState, view: SourceView, letter: LetterRef): Gap | null {
  const logs = logsInOrder(view);
  const index = logs.findIndex((log) => isLetter(log, letter));
  const own = index < 0 ? null : gapBefore(state, view.serverUuid, logs[index]);
  if (own !== null) return own;
  const next = logs.slice(index + 1).find((log) => log.peek !== null);
  if (next === undefined) throw successorUnknown(letter);
  return gapBefore(state, view.serverUuid, next);
}

function gapBefore(state: CatalogState, serverUuid: ServerUuid, log: SourceLog | undefined): Gap | null {
  if (log === undefined || log.peek === null || !isBinlogName(log.name)) return null;
  const { createdAt, previousGtids } = log.peek;
  const place = placeLog(newestLine(state, serverUuid), { binlog: log.name, createdAt, previousGtids });
  return place.kind === 'gap' ? { timeline: place.timeline, missingGtids: place.missingGtids } : null;
}

/** Staged logs that the server has purged, then all that it lists, the open one included. */
function logsInOrder(view: SourceView): readonly SourceLog[] {
  const listed = new Set(view.listed.map(idOf));
  return [...view.staged.filter((log) => !listed.has(idOf(log))), ...view.listed];
}

function idOf(log: SourceLog): string {
  return `${log.name}|${log.sizeBytes}|${log.peek?.createdAt ?? ''}`;
}

function isLetter(log: SourceLog, letter: LetterRef): boolean {
  return idOf(log) === `${letter.binlog}|${letter.lengthBytes}|${letter.createdAt}`;
}

function stillMissing(state: CatalogState, serverUuid: ServerUuid, missingGtids: string): Judgement {
  const accepted = GtidSet.parse(newestLine(state, serverUuid)?.acceptedGaps ?? '');
  return GtidSet.parse(missingGtids).isSubsetOf(accepted)
    ? { decision: 'stands', sequence: state.head.sequence }
    : { decision: 'append' };
}

function successorUnknown(letter: LetterRef): AppError {
  return new AppError({
    code: 'GapEndUnknown',
    kind: 'unavailable',
    message: `No log behind ${letter.binlog} can be read, so it is not known which transactions are lost with it.`,
    hint: 'It is tried again when the server has written the next log.',
    facts: { binlog: letter.binlog },
  });
}
