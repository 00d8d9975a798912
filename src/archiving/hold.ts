import { type Claim, type Claimant, claimEverywhere } from '../domain/routing/hold.ts';
import type { Repositories } from './repositories.ts';

/**
 * Asks all stores in which epoch a source may be written. A writer does so once, when it begins, and
 * carries the answer: a handoff after it fences the writer at its next entry.
 *
 * @throws conflict `HandoffsDiffer`, and what reading a catalog throws: without one store, a handoff
 *   that stands only there would be missed
 */
export async function claimHold(repositories: Repositories, claimant: Claimant): Promise<Claim> {
  const catalogs = await Promise.all(
    repositories.all.map(async ({ store, catalog }) => {
      const state = await catalog.read();
      return { store: store.id, epoch: state.epoch, handoffs: state.handoffs() };
    }),
  );
  return claimEverywhere(catalogs, claimant);
}
