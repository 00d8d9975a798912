import type { PreparedXa } from '../domain/catalog-entry.ts';
import { AppError, assertNever } from '../domain/errors.ts';
import { nameXids } from '../domain/xid.ts';
import { endApplier } from '../replay/applier.ts';
import { applierFolders } from './applier-options.ts';
import type { ClaimedFolder } from './data-folder.ts';
import { forgetFetched } from './fetch-base.ts';
import { readMark, removeMark, writeMark } from './work-folder.ts';

/** A replay that was cut so often by the end of its server, each time with a loss, will not get to its end. */
const MAX_SHORT = 5;
const CUT_SHORT = 'ReplayCutShort';
const KEEPS_BEING_CUT = 'ReplayKeepsBeingCut';

/**
 * What became of the cuts of a replay: ends of its server in the middle, and bytes that were not the log's. InnoDB, with the GTIDs in it, comes
 * back from each as of one moment; what lives outside of it does not.
 */
export interface Cuts {
  /** Cuts that lost something: after each the replay began anew from the base. */
  readonly short: number;
  /** `uncut`: the replay has run in one go since the base. `gone-on`: it was cut, and nothing was lost. */
  readonly now: 'uncut' | 'gone-on' | 'begins-anew';
}

/** What a cut may have lost, or left half done. */
export type CutLoss =
  /** They live in the applier's session: later statements fail, or silently read a table of the same name. */
  | { readonly kind: 'temporary-tables' }
  /** What was under way is half applied in them, and what InnoDB forgot of the last second is applied again. */
  | { readonly kind: 'non-transactional-tables'; readonly tables: readonly string[] }
  | {
      readonly kind: 'prepared-xa';
      readonly lost: readonly PreparedXa[];
      readonly appeared: readonly PreparedXa[];
    }
  /** DDL outside of InnoDB, for one, is half done then: only a replay in one go tells whether it is the log's fault. */
  | { readonly kind: 'cannot-apply'; readonly message: string }
  /** A store gave other bytes of a binlog, which were replayed before the digest at its end showed that. */
  | { readonly kind: 'wrong-bytes'; readonly keys: readonly string[] }
  /** Its recovery found what it cannot repair, such as a torn page. */
  | { readonly kind: 'cannot-start'; readonly message: string };

export async function readCuts(folder: ClaimedFolder): Promise<Cuts> {
  return (await readMark<Cuts>(folder, 'cuts')) ?? { short: 0, now: 'uncut' };
}

/** Remembers that the replay was cut, and goes on. */
export async function goOn(folder: ClaimedFolder): Promise<void> {
  const { short } = await readCuts(folder);
  await writeMark(folder, 'cuts', { short, now: 'gone-on' } satisfies Cuts);
}

/**
 * Remembers that the replay must begin anew. @returns the error that ends this try: unavailable, so that
 * whoever runs the step tries again, or refused `ReplayKeepsBeingCut`
 */
export async function cutShort(folder: ClaimedFolder, loss: CutLoss): Promise<AppError> {
  const short = (await readCuts(folder)).short + 1;
  await writeMark(folder, 'cuts', { short, now: 'begins-anew' } satisfies Cuts);
  const what = `The replay was cut before it was complete, and ${lossWords(loss)}`;
  if (short < MAX_SHORT) {
    return new AppError({
      code: CUT_SHORT,
      kind: 'unavailable',
      message: `${what}: it begins anew from the base (cut ${short} of at most ${MAX_SHORT}).`,
      facts: { loss: loss.kind, short },
    });
  }
  return new AppError({
    code: KEEPS_BEING_CUT,
    kind: 'refused',
    message: `${what}. That was the ${short}th time, so it is not begun anew once more.`,
    hint: 'Find out what ends the mysqld of the restore (its error log, the kernel log: memory), and restore again.',
    facts: { loss: loss.kind, short },
  });
}

/** True for an error that `cutShort` has made. */
export function isCutShort(error: unknown): boolean {
  return error instanceof AppError && (error.code === CUT_SHORT || error.code === KEEPS_BEING_CUT);
}

/**
 * Throws away what was replayed, also the fetched base, which is to be fetched once more. The mark goes
 * last: a crash in between is followed by the same again.
 */
export async function beginAnew(folder: ClaimedFolder): Promise<void> {
  const { short } = await readCuts(folder);
  await endApplier(applierFolders(folder));
  await forgetFetched(folder);
  await removeMark(folder, 'base-state');
  await writeMark(folder, 'cuts', { short, now: 'uncut' } satisfies Cuts);
}

function lossWords(loss: CutLoss): string {
  switch (loss.kind) {
    case 'temporary-tables':
      return 'temporary tables of the replayed statements ended with their server';
    case 'non-transactional-tables':
      return `tables that are not transactional may have been changed half or twice (${named(loss.tables)})`;
    case 'prepared-xa':
      return xaWords(loss.lost, loss.appeared);
    case 'cannot-apply':
      return `a transaction could not be applied since: ${loss.message}`;
    case 'wrong-bytes':
      return `bytes were replayed that are not those of ${loss.keys.slice(0, 5).join(', ')}, as the digest in the catalog shows`;
    case 'cannot-start':
      return `its server does not start any more: ${loss.message}`;
    default:
      return assertNever(loss);
  }
}

function xaWords(lost: readonly PreparedXa[], appeared: readonly PreparedXa[]): string {
  const parts = [
    ...(lost.length > 0 ? [`${lost.length} prepared XA transactions were lost (${nameXids(lost)})`] : []),
    ...(appeared.length > 0
      ? [`${appeared.length} are prepared that should not be (${nameXids(appeared)})`]
      : []),
  ];
  return parts.join(', and ');
}

function named(tables: readonly string[]): string {
  const shown = tables.slice(0, 5).join(', ');
  return tables.length > 5 ? `${shown} and ${tables.length - 5} more` : shown;
}
