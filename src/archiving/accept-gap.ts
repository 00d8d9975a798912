import type { Judgement } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { isPassedOver } from '../domain/routing/store-failures.ts';
import type { Signature } from './commit.ts';
import { serversOf } from './discover.ts';
import { holderOfMissing } from './fills.ts';
import { type Acceptance, type GapVerdict, judgeGap } from './judge-gap.ts';
import { type Repositories, repositoryIn } from './repositories.ts';
import type { KnownStore, ServerView, SourceView } from './server-view.ts';
import { isHalfKnown } from './store-needs.ts';

export interface AcceptGapOptions {
  /** The source as it is now; the logs that are given up with this one are among `givenUp`. */
  readonly view: SourceView;
  readonly repositories: Repositories;
  readonly acceptance: Acceptance;
  /** The operator's words. */
  readonly reason: string;
  readonly sign: Signature;
}

/** What became of an acceptance. */
export type AcceptedGap =
  /** Canonical; '' where no hole is known, and the next look at the server names what there is. */
  | { readonly kind: 'accepted'; readonly missingGtids: string }
  /** Nothing was written: this log is still to be archived, or to be decided on, first. */
  | { readonly kind: 'too-early'; readonly behind: string };

/**
 * Writes down in every store that transactions are lost: those between what is archived and the next
 * log that can follow, and no others. Can be run again. A crash between two stores leaves the gap
 * accepted in the first; the next try goes on with the others.
 *
 * @throws unavailable `GapChanged` where another writer archived something meanwhile, `HeldElsewhere` where another store
 *   still has what would be given up, `StoreUnknown` where nothing is known of a store that counts
 */
export async function acceptGap(options: AcceptGapOptions): Promise<AcceptedGap> {
  const { acceptance, repositories, reason, sign } = options;
  const server = serversOf(options.view).find((view) => view.serverUuid === acceptance.letter.serverUuid);
  if (server === undefined) return { kind: 'accepted', missingGtids: '' };
  if (isHalfKnown(server)) throw storeUnknown(server);
  const verdicts = server.stores.map((store) => ({
    store,
    verdict: judgeGap(server, store.state, acceptance),
  }));
  assertHeldByNone(options.view, verdicts);
  let lost = GtidSet.EMPTY;
  // All stores first: what is too early for one is written into none.
  for (const { verdict } of verdicts) if (verdict.kind === 'too-early') return verdict;
  for (const { store, verdict } of verdicts) {
    if (verdict.kind !== 'gap') continue;
    const { timeline, missingGtids } = verdict;
    lost = lost.union(GtidSet.parse(missingGtids));
    const { catalog } = repositoryIn(repositories, store.id);
    const body = {
      kind: 'gap-accepted',
      serverUuid: server.serverUuid,
      detail: reason,
      timeline,
      missingGtids,
    } as const;
    const judge = (now: CatalogState) => stillExactly(now, server, acceptance, missingGtids);
    await naming(store.id, () => catalog.append(body, sign(), judge));
  }
  return { kind: 'accepted', missingGtids: lost.toString() };
}

interface StoreVerdict {
  readonly store: KnownStore;
  readonly verdict: GapVerdict;
}

/** What another store has is brought from there, also where that one must be given a handoff first. */
function assertHeldByNone(view: SourceView, verdicts: readonly StoreVerdict[]): void {
  const known = [...view.present.stores, ...view.present.followers];
  for (const { store, verdict } of verdicts) {
    const holder = verdict.kind === 'gap' ? holderOfMissing(store, known, serversOf(view)) : undefined;
    if (holder !== undefined) throw heldElsewhere(store.id, holder.id);
  }
}

/**
 * Asks every store what it holds now, before anything is given up: one that is away may have it, also where another
 * one counts in its place. One whose catalog cannot be trusted gives the others nothing, and is judged elsewhere.
 *
 * @throws unavailable `StoreUnknown`
 */
export async function askEveryStore({ all }: Pick<Repositories, 'all'>): Promise<void> {
  const failed = await Promise.all(
    all.map(async ({ store, catalog }) => {
      try {
        await catalog.read();
        return [];
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        return isPassedOver(error) ? [{ store: store.id, error }] : [];
      }
    }),
  );
  const [first, ...others] = failed.flat();
  if (first !== undefined) throw storeAway(first, others);
}

/** Adds to what went wrong in which store it did. */
async function naming<T>(store: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { code, kind, message, hint } = error;
    const facts = { ...error.facts, store };
    throw new AppError({ code, kind, message, ...(hint === undefined ? {} : { hint }), facts, cause: error });
  }
}

/** Asked again when another writer came first: the very same transactions must still be missing. */
function stillExactly(
  state: CatalogState,
  server: ServerView,
  acceptance: Acceptance,
  missingGtids: string,
): Judgement {
  const now = judgeGap(server, state, acceptance);
  if (now.kind === 'none') return { decision: 'stands', sequence: state.head.sequence };
  if (now.kind === 'gap' && now.missingGtids === missingGtids) return { decision: 'append' };
  throw new AppError({
    code: 'GapChanged',
    kind: 'unavailable',
    message: `Another writer changed the catalog while the gap at ${acceptance.letter.binlog} was to be accepted, so nothing was written: what is missing is looked at again.`,
    facts: { binlog: acceptance.letter.binlog, missingGtids },
  });
}

function heldElsewhere(store: string, holder: string): AppError {
  return new AppError({
    code: 'HeldElsewhere',
    kind: 'unavailable',
    message: `${holder} has logs that ${store} lacks, so no transaction is given up before ${store} was filled from there.`,
    hint: 'Nothing to do: it is filled by itself, and the decision is carried out then if anything is still missing.',
    facts: { stores: [store, holder] },
  });
}

interface StoreAway {
  readonly store: string;
  readonly error: AppError;
}

function storeAway(first: StoreAway, others: readonly StoreAway[]): AppError {
  const stores = [first, ...others].map(({ store }) => store);
  return new AppError({
    code: 'StoreUnknown',
    kind: 'unavailable',
    message: `${stores.join(', ')} cannot be asked now, so no transaction can be given up: it may lie there. ${first.error.message}`,
    hint: 'The decision is carried out by itself when the store answers. Where it is lost for good, take it out of pitrail.yaml and restart the workers.',
    facts: { stores },
    cause: first.error,
  });
}

function storeUnknown({ required, unknown }: ServerView): AppError {
  const stores = unknown.filter((store) => required.includes(store));
  return new AppError({
    code: 'StoreUnknown',
    kind: 'unavailable',
    message: `Nothing is known yet of what ${stores.join(', ')} holds, so no transaction can be given up: it may lie there.`,
    hint: 'The decision is carried out by itself when the store answers.',
    facts: { stores },
  });
}
