import type { Judgement } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { AppError } from '../domain/errors.ts';
import type { BinlogName, ServerUuid } from '../domain/identity.ts';
import type { Signature } from './commit.ts';
import type { StoreFailure } from './discovery.ts';
import { failureOf } from './read-stores.ts';
import type { Repository } from './repositories.ts';

/** A refusal as the catalog keeps it. */
export interface RefusalRecord {
  readonly serverUuid: ServerUuid;
  readonly binlog: BinlogName;
  /** Code of the problem. */
  readonly reason: string;
  readonly detail: string;
}

/** In which stores a refusal stands now. Plain JSON. */
export interface RefusalOutcome {
  /** Ids of the stores whose catalogs name it. */
  readonly written: readonly string[];
  /** The others, each with why it could not take the entry now. */
  readonly later: readonly { readonly store: string; readonly failure: StoreFailure }[];
}

/**
 * Writes down in these stores that a log was refused, so that whoever reads the archive knows. A store
 * that cannot take the entry now (it is away, it denies, it has not got a handoff yet) holds up no other.
 * Can be run again: the same refusal is written once.
 *
 * @throws conflict `StaleEpoch` where the writer was fenced: nothing more is written in its name
 */
export async function recordRefusal(
  repositories: readonly Repository[],
  refusal: RefusalRecord,
  sign: Signature,
): Promise<RefusalOutcome> {
  const written: string[] = [];
  const later: { store: string; failure: StoreFailure }[] = [];
  for (const { store, catalog } of repositories) {
    try {
      const state = await catalog.read();
      if (judge(state, refusal).decision === 'append') {
        await catalog.append({ kind: 'segment-refused', ...refusal }, sign(), (now) => judge(now, refusal));
      }
      written.push(store.id);
    } catch (error) {
      if (!(error instanceof AppError) || error.kind === 'bug' || error.code === 'StaleEpoch') throw error;
      later.push({ store: store.id, failure: failureOf(error) });
    }
  }
  return { written, later };
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
