import { type AppError, assertNever, type ErrorKind } from '../../domain/errors.ts';
import type { CatalogDifference } from '../../domain/routing/compare.ts';
import { type CatalogComparison, compareCatalogs, isMaterial } from '../../domain/routing/compare.ts';
import type { ObjectFinding } from '../../syncing/look-at-object.ts';
import type { StoreVerification, VerifiedStore } from '../../verifying/verify-store.ts';
import { shortGtids } from '../words.ts';

/** Something that keeps an archive from being whole, or its stores from being equal. */
export interface VerifyProblem {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly store: string;
  readonly message: string;
  readonly hint: string;
}

/** Compares every store with every other. */
export function compareAll(stores: readonly StoreVerification[]): CatalogComparison[] {
  const read = stores.filter((store) => store.status === 'verified');
  return read.flatMap((first, index) =>
    read.slice(index + 1).map((second) => compareCatalogs(first.view, second.view)),
  );
}

/**
 * All that is wrong; empty where every store is whole and equal to the others. Pure.
 * @param disagreement why no restore reads the stores together: they may hold the same, and number it otherwise
 */
export function judgeVerification(
  stores: readonly StoreVerification[],
  comparisons: readonly CatalogComparison[],
  disagreement: AppError | null,
): VerifyProblem[] {
  const problems = [
    ...stores.flatMap(judgeStore),
    ...comparisons.flatMap(({ differences }) => differences.filter(isMaterial).map(judgeDifference)),
  ];
  if (disagreement === null || problems.some(({ kind }) => kind === 'conflict')) return problems;
  const { code, kind, message, hint = '' } = disagreement;
  const store = comparisons.flatMap((it) => it.stores);
  return [...problems, { code, kind, store: [...new Set(store)].join(', '), message, hint }];
}

function judgeStore(verification: StoreVerification): VerifyProblem[] {
  if (verification.status === 'verified')
    return [...judgeObjects(verification), ...judgeRanges(verification)];
  const { store, error } = verification;
  return [{ code: error.code, kind: error.kind, store, message: error.message, hint: error.hint ?? '' }];
}

function judgeObjects({ store, findings, damagedPacks }: VerifiedStore): VerifyProblem[] {
  const objects = findings.map((finding) => judgeFinding(store, finding));
  if (damagedPacks.length === 0) return objects;
  const message = `Pack ${damagedPacks.join(', ')} of the catalog in ${store} is damaged; its entries are whole, reading is slower.`;
  const remove = 'Remove the damaged objects under catalog/packs/; they are written anew.';
  return [...objects, { code: 'PackDamaged', kind: 'corrupt', store, message, hint: remove }];
}

/** What is wrong with one object of a store, and what to do. Pure. */
export function judgeFinding(store: string, { key, code, detail }: ObjectFinding): VerifyProblem {
  const hint =
    code === 'missing'
      ? `Restores use another store that holds it. Find out who removed it, and put it back: pitrail sync --to ${store} --from …`
      : 'Another store of the cluster that holds it whole is used by restores. Find out what changed it here, and move it away: pitrail sync puts back what is not there.';
  const message = `${key} in ${store}: ${detail.replace(/\.$/, '')}.`;
  return { code: `Object${pascal(code)}`, kind: 'corrupt', store, message, hint };
}

function judgeRanges({ store, ranges }: VerifiedStore): VerifyProblem[] {
  return ranges.flatMap(({ timeline, to, endsAt }): VerifyProblem[] => {
    if (endsAt.kind !== 'gap' || endsAt.standing === 'accepted') return [];
    const message = `In ${store}, timeline ${timeline} has a hole behind ${to} that nobody accepted: ${shortGtids(endsAt.missingGtids)}.`;
    const hint = 'No version of pitrail commits over a hole: find out who wrote the entries behind it.';
    return [{ code: 'UnexplainedGap', kind: 'corrupt', store, message, hint }];
  });
}

function judgeDifference(difference: CatalogDifference): VerifyProblem {
  switch (difference.kind) {
    case 'missing': {
      const { store, heldBy, name, gtids } = difference;
      const what = gtids === '' ? '' : ` (${shortGtids(gtids)})`;
      const hint = `pitrail sync --from ${heldBy} --to ${store}`;
      return {
        code: 'Missing',
        kind: 'unavailable',
        store,
        message: `${store} lacks ${name}${what}, which ${heldBy} holds.`,
        hint,
      };
    }
    case 'differs': {
      const { stores, name, fields, what } = difference;
      if (what === 'handoff' && fields.some((field) => field.startsWith('route.')))
        return twoHandoffs(stores, name);
      const message = `${stores.join(' and ')} say different things of ${name}: ${fields.join(', ')}.`;
      return conflict('Differs', stores, message, 'One of them is wrong: prove both with --deep.');
    }
    case 'other-order':
      return conflict(
        'OtherOrder',
        difference.stores,
        `${difference.stores.join(' and ')} hold the logs of a timeline in another order, from ${difference.name} on.`,
        'Only one of them can be the order of commit: compare PREVIOUS_GTIDS of these logs.',
      );
    case 'other-repository':
      return conflict(
        'OtherRepository',
        difference.repositoryIds,
        `The stores hold two repositories (${difference.repositoryIds.join(', ')}), not one.`,
        'Give the newer store an empty prefix, then: pitrail sync',
      );
    case 'covered':
    case 'sealed-twice':
      return conflict('Difference', [], `${difference.name} differs.`, '');
    default:
      return assertNever(difference);
  }
}

/** Neither writer can call anything archived in both stores any more; only people know which one is right. */
function twoHandoffs(stores: readonly string[], name: string): VerifyProblem {
  const message = `${stores.join(' and ')} each took another handoff of one epoch: ${name}. What comes behind it may be two histories, and no restore mixes them.`;
  const hint =
    'Find out which server the applications wrote to. Restore from its store alone (--store); begin the other store anew under an empty prefix, and fill it: pitrail sync';
  return conflict('HandoffsConflict', stores, message, hint);
}

function conflict(code: string, stores: readonly string[], message: string, hint: string): VerifyProblem {
  return { code, kind: 'conflict', store: stores.join(', '), message, hint };
}

function pascal(code: string): string {
  return code.replaceAll(/(^|-)([a-z])/g, (_, _dash, letter: string) => letter.toUpperCase());
}
