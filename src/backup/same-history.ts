import type { CatalogState } from '../catalog/fold.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { StoreLine } from './state.ts';

/**
 * Proves that a clone continues the history that was archived when its backup began. The archive
 * notices a reset only at its next log, so the timeline may look unmoved although the clone holds
 * another history under the same GTIDs; replay on it would make data that never was.
 *
 * @throws refused `HistoryReplaced`
 */
export function assertSameHistory(state: CatalogState, line: StoreLine, gtidExecuted: string): void {
  if (line.timeline === null) return;
  const archived = state.segments(line.timeline).filter(({ sequence }) => sequence <= line.sequence);
  const held = GtidSet.unionAll(archived.map(({ segment }) => GtidSet.parse(segment.gtids)));
  const lacking = held.subtract(GtidSet.parse(gtidExecuted));
  if (lacking.isEmpty) return;
  throw new AppError({
    code: 'HistoryReplaced',
    kind: 'refused',
    message: `The clone lacks ${lacking.count()} transactions that were archived from its source before it was taken (${lacking.ranges().slice(0, 5).join(', ')}): the source was reset or replaced meanwhile, and the backup was not registered.`,
    hint: 'Archive once (pitrail archive --once), which starts a new timeline, then take the backup again.',
    facts: { store: line.store, timeline: line.timeline },
  });
}
