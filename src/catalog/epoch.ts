import type { CatalogBody } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { staleEpoch } from './refusals.ts';

/** The epoch of an entry after an entry of epoch `before`: a handoff raises it by one, all else keeps it. */
export function epochAfter(before: number, kind: CatalogBody['kind']): number {
  return kind === 'handoff' ? before + 1 : before;
}

/**
 * Proves that a writer may append in its epoch. One that is behind was fenced by a handoff; one that
 * is ahead writes to a store that has not got the handoff yet.
 * @throws conflict `StaleEpoch`, conflict `HandoffMissing`
 */
export function assertEpoch(
  location: string,
  by: { readonly writer: string; readonly epoch: number },
  kind: CatalogBody['kind'],
  stands: number,
): void {
  const wanted = epochAfter(stands, kind);
  if (by.epoch < wanted) throw staleEpoch(location, by, stands);
  if (by.epoch > wanted) throw handoffMissing(location, by, stands);
}

function handoffMissing(
  location: string,
  by: { readonly writer: string; readonly epoch: number },
  stands: number,
): AppError {
  return new AppError({
    code: 'HandoffMissing',
    kind: 'conflict',
    message:
      `${by.writer} works in epoch ${by.epoch}, but the catalog in ${location} stands at epoch ${stands}: ` +
      'it has not got the handoff between, so nothing is written behind it.',
    hint: 'Bring it up to date first: pitrail sync --from ANOTHER_STORE --to THIS_ONE.',
    facts: { location, writer: by.writer, epoch: by.epoch, stands },
  });
}
