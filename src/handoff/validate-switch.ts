import type { Repositories } from '../archiving/repositories.ts';
import { repositoryIn } from '../archiving/repositories.ts';
import type { ServerContext } from '../archiving/resources.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { oneLine } from '../domain/routing/catalog-view.ts';
import { readValidation, recordOutcome } from './validation.ts';

export interface SwitchToValidate {
  /** The epoch that the switch raised. */
  readonly epoch: number;
  /** The store that counts since then. */
  readonly store: string;
  /** All that had been called archived before, canonical. */
  readonly acknowledgedGtids: string;
  /** Stores that may be asked: they get the result, and the others get it when they are filled. */
  readonly reachable: readonly string[];
}

/** `settling`: no log is archived behind the boundary yet. */
export type SwitchValidation =
  | { readonly verdict: 'settling' }
  | {
      readonly verdict: 'validated' | 'failed';
      readonly lagSeconds: number | null;
      readonly lagTransactions: number;
      readonly detail: string;
    };

/**
 * Proves that a switch of stores holds, and writes the result into the catalogs: the first log behind
 * the boundary is archived in the store that counts now, and all that was called archived before lies
 * in it, or was given up there. Can be run again: the same verdict is written once.
 *
 * @throws bug `HandoffGone`; unavailable
 */
export async function validateSwitch(
  context: ServerContext & { readonly repositories: Repositories },
  { epoch, store, acknowledgedGtids, reachable }: SwitchToValidate,
): Promise<SwitchValidation> {
  const { repositories, source } = context;
  const repository = repositoryIn(repositories, store);
  const reading = await readValidation(context, repository, { epoch, store });
  if (reading.firstLog === 'waiting') return { verdict: 'settling' };
  const lost = GtidSet.parse(acknowledgedGtids).subtract(heldIn(await repository.catalog.read()));
  const covered = GtidSet.parse(reading.coveredNow);
  const lagTransactions = Number(GtidSet.parse(reading.gtidExecuted).subtract(covered).count());
  const { lagSeconds } = reading;
  const detail = lost.isEmpty
    ? `${store} goes on with all that was archived; ${lagTransactions} transactions of ${source.id} are not archived yet.`
    : `Archived before the switch, and not in ${store}: ${oneLine(lost.toString())}.`;
  const verdict = lost.isEmpty ? 'validated' : 'failed';
  const all = repositories.all.filter((it) => reachable.includes(it.store.id));
  const outcome = { handoffEpoch: epoch, verdict, lagSeconds, lagTransactions, detail } as const;
  await recordOutcome({ ...repositories, all }, source.id, outcome);
  return { verdict, lagSeconds, lagTransactions, detail };
}

function heldIn(state: CatalogState): GtidSet {
  const archived = state.timelines().map(({ timeline }) => state.archivedThrough(timeline));
  const gaps = state.acceptedGaps().map(({ missingGtids }) => GtidSet.parse(missingGtids));
  return GtidSet.unionAll([...archived, ...gaps]);
}
