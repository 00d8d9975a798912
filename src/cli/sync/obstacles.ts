import { assertNever, type ErrorKind } from '../../domain/errors.ts';
import type { SyncObstacle } from '../../domain/routing/sync-plan.ts';
import { shortGtids } from '../words.ts';

/** How bad it is that something cannot be copied. */
export function kindOf(obstacle: SyncObstacle): ErrorKind {
  switch (obstacle.kind) {
    case 'too-late':
    case 'fenced':
      return 'refused';
    case 'differs':
    case 'other-repository':
      return 'conflict';
    default:
      return assertNever(obstacle);
  }
}

/** Why something cannot be copied, as a sentence. */
export function wordsOf(obstacle: SyncObstacle): string {
  switch (obstacle.kind) {
    case 'too-late':
      return `${obstacle.name} cannot be added behind ${obstacle.behind}, which is there already: ${shortGtids(obstacle.gtids)} can be restored from the other store only.`;
    case 'fenced':
      return `${obstacle.name} was written after its server had been handed away (epoch ${obstacle.epoch}): ${shortGtids(obstacle.gtids)} are in no history that goes on.`;
    case 'differs':
      return `${obstacle.stores.join(' and ')} say different things of ${obstacle.name}: ${obstacle.fields.join(', ')}. Nothing of it was copied; see pitrail verify --deep.`;
    case 'other-repository':
      return `The stores hold two repositories (${obstacle.repositoryIds.join(', ')}), so nothing was copied.`;
    default:
      return assertNever(obstacle);
  }
}
