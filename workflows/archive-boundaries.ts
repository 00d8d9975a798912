import { isCancellation, log } from '@temporalio/workflow';
import type { ArchiveSettings } from '../activities/archive.ts';
import type { Discovery } from '../src/archiving/discovery.ts';
import { boundariesBetween, mergeBoundaries } from '../src/domain/routing/store-boundaries.ts';
import { isStoreFailure } from '../src/domain/routing/store-failures.ts';
import { storeTries } from './archive-activities.ts';
import { noteStoreFailure } from './archive-circuits.ts';
import { type ArchiveEntity, failureOf } from './archive-entity.ts';
import { describeFailure } from './archive-failures.ts';
import { circuitOf, update } from './archive-records.ts';
import { nowText } from './now.ts';

/** Remembers the handoffs between stores that a store lacks: the only store that has one may be lost. */
export function adoptBoundaries(entity: ArchiveEntity, found: Pick<Discovery, 'boundaries'>): void {
  const least = Math.min(...entity.stores.map(({ epoch }) => epoch ?? 0));
  const all = mergeBoundaries(entity.boundaries, found.boundaries);
  entity.boundaries = all.filter(({ epoch }) => epoch > least);
}

/**
 * Writes into each store the handoffs between stores that it lacks, where no store that answers has
 * them: without them nothing of this epoch is taken there (`HandoffMissing`).
 */
export async function bringMissing(
  entity: ArchiveEntity,
  { host }: ArchiveSettings,
  found: Pick<Discovery, 'stores'>,
): Promise<void> {
  for (const { store, circuit, epoch } of entity.stores) {
    const { hold } = entity;
    if (hold.kind !== 'held' || circuit.kind !== 'closed' || entity.lanes.has(store)) continue;
    const from = found.stores.find((standing) => standing.store === store)?.fillFrom ?? null;
    // A fill brings them, and all else that stands before them there.
    const isFilled = from !== null && circuitOf(entity, from).kind === 'closed';
    if (isFilled || epoch === null || epoch >= hold.epoch) continue;
    const boundaries = boundariesBetween(entity.boundaries, epoch, hold.epoch);
    if (boundaries === null) continue;
    try {
      await storeTries(host).bringBoundaries({ ...entity.input, store, boundaries });
      update(entity, store, { epoch: hold.epoch });
      log.info('store got the handoffs that it lacked', { store, epoch: hold.epoch });
    } catch (error) {
      if (isCancellation(error)) throw error;
      const failure = describeFailure(error);
      if (failure.code === 'StaleEpoch') throw error;
      if (isStoreFailure(failure.code)) noteStoreFailure(entity, store, failure);
      else update(entity, store, { failure: failureOf(failure, nowText()) });
    }
  }
}
