import { condition } from '@temporalio/workflow';
import { DEFAULT_CIRCUIT } from '../src/domain/routing/circuit.ts';
import { type ArchiveEntity, ticketsOfRound } from './archive-entity.ts';
import { countingStores } from './archive-records.ts';

/**
 * Where someone asks for archiving now, waits until every store that counts and is given up was tried
 * after the question: the answer tells how the stores stand now, not how they stood at the last probe.
 */
export async function tryStoresIfAsked(entity: ArchiveEntity): Promise<void> {
  if (ticketsOfRound(entity).length === 0) return;
  const isTried = () =>
    countingStores(entity).every(({ store, circuit }) => {
      return circuit.kind === 'closed' || (circuit.kind === 'open' && !entity.probesAsked.has(store));
    });
  if (!isTried()) await condition(isTried, DEFAULT_CIRCUIT.probeTimeoutMs);
}
