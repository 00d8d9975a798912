import { setTimeout as sleep } from 'node:timers/promises';
import type { CatalogHead } from '../catalog/chain.ts';
import type { CatalogState } from '../catalog/fold.ts';
import type { ClusterConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import { isPassedOver } from '../domain/routing/store-failures.ts';
import type { StorePolicy } from '../domain/routing/store-policy.ts';
import type { StoreFailure } from './discovery.ts';
import { type Repositories, type Repository, repositoryIn } from './repositories.ts';
import type { KnownStore, StoreRead } from './server-view.ts';

/** How a store counts now, and whether it may be asked. */
export interface StoreLook {
  readonly store: string;
  /** With stand-ins taken into account. */
  readonly policy: StorePolicy;
  /** `held-back`: its circuit is open, so that it is not asked. */
  readonly access: 'open' | 'held-back';
}

/** How to look where nothing but the configuration is known: every store as it is set there, none held back. */
export function configuredStores({ stores }: Pick<ClusterConfig, 'stores'>): readonly StoreLook[] {
  return stores.map(({ id, policy }) => ({ store: id, policy, access: 'open' }));
}

export interface StoreReads {
  readonly known: readonly KnownStore[];
  readonly reads: readonly StoreRead[];
}

/** Nobody waits longer for a store that is not required, once all that are have answered. */
const GRACE_MS = 250;

type Outcome =
  | { readonly kind: 'read'; readonly state: CatalogState }
  | { readonly kind: 'failed'; readonly error: AppError }
  | { readonly kind: 'late' };

/**
 * Reads the catalogs of a cluster: those of required stores, and of the others what comes at once. A
 * store that cannot be used now is told of, not thrown, whether it is away or denies; what was known of
 * it is used.
 *
 * @throws corrupt, conflict or refused where a required store holds no catalog that can be trusted
 */
export async function readStores(
  repositories: Repositories,
  looks: readonly StoreLook[],
  heads: ReadonlyMap<string, CatalogHead>,
): Promise<StoreReads> {
  const { known, reads, errors } = await tryStores(repositories, looks, heads);
  for (const { store, policy } of looks) {
    const error = errors.get(store);
    if (error !== undefined && policy === 'required' && !isPassedOver(error)) throw error;
  }
  return { known, reads };
}

/** As `readStores`; whatever is wrong with a store is told of, for it is not known yet which of them count. */
export async function tryStores(
  repositories: Repositories,
  looks: readonly StoreLook[],
  heads: ReadonlyMap<string, CatalogHead>,
): Promise<StoreReads & { readonly errors: ReadonlyMap<string, AppError> }> {
  const asked = looks.map((look) => ({ ...look, repository: repositoryIn(repositories, look.store) }));
  const required = asked.filter(({ policy }) => policy === 'required');
  const reading = new Map(asked.map((look) => [look.store, outcomeOf(look, heads.get(look.store))]));
  const answered = Promise.all(required.map(({ store }) => reading.get(store)));
  const late = answered.then(() => sleep(GRACE_MS, { kind: 'late' } as const, { ref: false }));
  const outcomes = await Promise.all(
    asked.map((look) => {
      const outcome = reading.get(look.store) ?? late;
      return look.policy === 'required' ? outcome : Promise.race([outcome, late]);
    }),
  );
  const known: KnownStore[] = [];
  const errors = new Map<string, AppError>();
  const reads = asked.map(({ store, repository }, index): StoreRead => {
    const outcome: Outcome = outcomes[index] ?? { kind: 'late' };
    if (outcome.kind === 'failed') errors.set(store, outcome.error);
    const state = outcome.kind === 'read' ? outcome.state : repository.catalog.known;
    if (state !== null) known.push({ id: store, state });
    const status = outcome.kind === 'read' ? 'read' : state === null ? 'unknown' : 'known';
    return { store, status, failure: outcome.kind === 'failed' ? failureOf(outcome.error) : null };
  });
  return { known, reads, errors };
}

async function outcomeOf(
  { access, repository }: StoreLook & { readonly repository: Repository },
  seen: CatalogHead | undefined,
): Promise<Outcome> {
  if (access === 'held-back') return { kind: 'late' };
  try {
    const state = await repository.catalog.read(seen === undefined ? {} : { expectAtLeast: seen });
    return { kind: 'read', state };
  } catch (error) {
    if (error instanceof AppError) return { kind: 'failed', error };
    throw error;
  }
}

/** What a store says of itself where it could not be used. */
export function failureOf({ code, kind, message, hint }: AppError): StoreFailure {
  return { code, kind, message, hint: hint ?? '' };
}

/** Catalogs as they were read last, without asking any store. */
export function knownStores(repositories: readonly Repository[]): readonly KnownStore[] {
  return repositories.flatMap(({ store, catalog }) =>
    catalog.known === null ? [] : [{ id: store.id, state: catalog.known }],
  );
}
