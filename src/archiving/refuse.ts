import type { Judgement } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import type { BinlogName, ServerUuid } from '../domain/identity.ts';
import type { Signature } from './commit.ts';
import type { Repository } from './repositories.ts';

/** A refusal as the catalog keeps it. */
export interface RefusalRecord {
  readonly serverUuid: ServerUuid;
  readonly binlog: BinlogName;
  /** Code of the problem. */
  readonly reason: string;
  readonly detail: string;
}

/**
 * Writes down in these stores that a log was refused, so that whoever reads the archive knows. Can be
 * run again: the same refusal is written once.
 */
export async function recordRefusal(
  repositories: readonly Repository[],
  refusal: RefusalRecord,
  sign: Signature,
): Promise<void> {
  for (const { catalog } of repositories) {
    const state = await catalog.read();
    if (judge(state, refusal).decision === 'stands') continue;
    await catalog.append({ kind: 'segment-refused', ...refusal }, sign(), (now) => judge(now, refusal));
  }
}

function judge(state: CatalogState, refusal: RefusalRecord): Judgement {
  const same = state
    .deadLetters()
    .find(
      (it) =>
        it.serverUuid === refusal.serverUuid &&
        it.binlog === refusal.binlog &&
        it.reason === refusal.reason &&
        it.detail === refusal.detail,
    );
  return same === undefined ? { decision: 'append' } : { decision: 'stands', sequence: same.sequence };
}
