import { type XaChange, xaChanges } from '../binlog/xa-changes.ts';
import type { PreparedXa } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { PlannedSegment } from '../domain/restore-plan.ts';
import { xidKey, xidOfKey } from '../domain/xid.ts';
import { readSegmentFrom } from './fallover.ts';
import type { RestoreHomes } from './homes.ts';
import type { StoredPlan } from './work-folder.ts';

/**
 * Which binlogs are read for it. `where-it-may-be`: those that the catalog gives a reason to look into; an
 * XA PREPARE inside a compressed transaction is not in the catalog. `everywhere`: all of them.
 */
export type XaSearch = 'where-it-may-be' | 'everywhere';

/** Follows which XA transactions are prepared, beginning with the base's. Fed in commit order; pure. */
export class PreparedXaFold {
  readonly #keys: Set<string>;

  constructor(base: readonly PreparedXa[]) {
    this.#keys = new Set(base.map(xidKey));
  }

  get isEmpty(): boolean {
    return this.#keys.size === 0;
  }

  add(kind: XaChange['kind'], key: string): void {
    if (kind === 'prepared') this.#keys.add(key);
    else this.#keys.delete(key);
  }

  list(): PreparedXa[] {
    return [...this.#keys].map(xidOfKey);
  }
}

/**
 * The XA transactions that are prepared in a server which has executed `executed`, from the base and the
 * planned binlogs alone. What was left out, or is not executed, does not count.
 * @throws corrupt; what reading a segment throws
 */
export async function expectedPreparedXa(
  homes: RestoreHomes,
  { plan, backup }: StoredPlan,
  executed: GtidSet,
  search: XaSearch,
  signal: AbortSignal,
): Promise<PreparedXa[]> {
  const fold = new PreparedXaFold(backup.preparedXa);
  for (const segment of plan.segments) {
    const done = GtidSet.parse(segment.send).intersect(executed);
    if (done.isEmpty) continue;
    if (search === 'everywhere' || mayChange(segment, done, fold)) {
      await foldSegment(homes, segment, done, fold, signal);
    }
  }
  return fold.list();
}

/**
 * False where the whole file is executed, leaves nothing prepared, and had nothing to finish: what it
 * prepares it finishes itself. A file that is executed in part may have the one without the other.
 */
function mayChange(segment: PlannedSegment, done: GtidSet, fold: PreparedXaFold): boolean {
  const isWhole = segment.extent === 'whole' && done.equals(GtidSet.parse(segment.send));
  return !(isWhole && segment.xaPrepares === 0 && fold.isEmpty);
}

async function foldSegment(
  homes: RestoreHomes,
  segment: PlannedSegment,
  done: GtidSet,
  fold: PreparedXaFold,
  signal: AbortSignal,
): Promise<void> {
  const { binlog } = segment;
  const chunks = readSegmentFrom(homes.reader, segment, signal);
  for await (const { gtid, kind, xid } of xaChanges(chunks, { binlog })) {
    if (gtid === null || !done.contains(gtid)) continue;
    if (xid === null) throw unreadable(segment);
    fold.add(kind, xid);
  }
}

function unreadable({ serverUuid, binlog }: PlannedSegment): AppError {
  return new AppError({
    code: 'XidUnreadable',
    kind: 'corrupt',
    message: `${serverUuid}/${binlog} ends an XA transaction in a form that is not understood, so it is not known which ones are prepared at the target, and the restore is not handed over.`,
    hint: 'Please report it with the XA statement as mysqlbinlog prints it.',
    facts: { serverUuid, binlog },
  });
}
