import { AppError } from '../domain/errors.ts';

/** A store that did not give an object whole, and why. */
export interface FailedStore {
  readonly store: string;
  readonly error: AppError;
}

/**
 * The error of an object that no store gives whole, of the code and kind of the first failure: which object, what it
 * holds, and each store with its reason. Null where no store was asked. Pure.
 * @param object its key, and what it holds, for people
 */
export function notWhole(
  { key, what }: { readonly key: string; readonly what: string },
  failures: readonly FailedStore[],
): AppError | null {
  const [first] = failures;
  if (first === undefined) return null;
  const { code, kind, hint = '', facts } = first.error;
  const reasons = failures.map(({ store, error }) => `In store ${store}: ${reasonOf(error)}.`);
  const isDamage = kind === 'corrupt' || code === 'ObjectMissing';
  return new AppError({
    code,
    kind,
    message: `${what} (${key}) cannot be read whole, so nothing that needs it can be restored. ${reasons.join(' ')}`,
    hint: isDamage ? mendHint(first.store) : hint,
    facts: { ...facts, key, stores: failures.map(({ store }) => store) },
    cause: first.error,
  });
}

function reasonOf({ kind, message, facts }: AppError): string {
  const { detail } = facts;
  return kind === 'corrupt' && typeof detail === 'string' ? detail : message.replace(/\.$/, '');
}

function mendHint(store: string): string {
  return `See what else is damaged: pitrail verify --deep --store ${store}. Where another store holds it whole, restore without --store, or move it away in ${store} and put it back: pitrail sync --to ${store} --from …. Where none does, restore to a target before it: pitrail plan.`;
}
