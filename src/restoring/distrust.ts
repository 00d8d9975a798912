import { AppError } from '../domain/errors.ts';
import type { PlannedSegment } from '../domain/restore-plan.ts';
import { cutShort } from './cuts.ts';
import type { ClaimedFolder } from './data-folder.ts';
import type { DifferingStores, FalloverReader } from './fallover.ts';
import { FalloverLog } from './fallover-log.ts';
import { type StoredPlan, writePlan } from './work-folder.ts';

/**
 * Where a store gave bytes of a binlog that turned out to be of another one, they may be replayed: the replay
 * begins anew from the base, with that binlog from the store first that began otherwise, whose bytes the
 * catalog's digest proves or refuses at their end. A crash before that is noted meets the same once more.
 * @param error how the try ended; null where it reached its target
 * @returns the error that ends the try; null where nothing is doubtful
 */
export async function distrust(
  error: unknown,
  stored: StoredPlan,
  folder: ClaimedFolder,
  reader: FalloverReader,
): Promise<AppError | null> {
  if (reader.doubtful.size === 0) return null;
  let { segments } = stored.plan;
  const log = new FalloverLog(folder);
  for (const key of reader.doubtful) {
    const differing = reader.differing(key);
    if (differing === null) continue;
    const { wrong, other, reason } = differing;
    for (const from of wrong) await log.add({ key, from, to: other, reason });
    segments = segments.map((it) => (it.object.key === key ? fromOther(it, differing) : it));
  }
  await writePlan({ ...stored, plan: { ...stored.plan, segments } });
  const cut = await cutShort(folder, { kind: 'wrong-bytes', keys: [...reader.doubtful] });
  const isSure = error instanceof AppError && error.kind === 'corrupt' && reader.lost.size > 0;
  return isSure ? error : cut;
}

/** The stores that hold a binlog, those last that gave other bytes of it. */
function fromOther(segment: PlannedSegment, { wrong, other }: DifferingStores): PlannedSegment {
  const rest = segment.stores.filter((store) => store !== other && !wrong.includes(store));
  return { ...segment, stores: [other, ...rest, ...wrong] };
}
