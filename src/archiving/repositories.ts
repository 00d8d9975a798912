import { hostname } from 'node:os';
import { type AppendBy, type Catalog, openCatalog } from '../catalog/catalog.ts';
import { loadSigningKey, loadTrustedKey } from '../catalog/keys.ts';
import type { ClusterConfig, EncryptionConfig, StoreRules } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import type { RepositoryId } from '../domain/identity.ts';
import { formatInstant, type Micros } from '../domain/time.ts';
import { type EnvelopeKey, loadKeyFile, noEncryption } from '../envelope/keys.ts';
import { guardSilence } from '../storage/guard/guarded-store.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { openStore } from '../storage/open-store.ts';
import type { Signature } from './commit.ts';

/** The epoch of a repository before any handoff. */
const FIRST_EPOCH = 1;

/** One store of a cluster with its catalog. */
export interface Repository {
  readonly store: ObjectStore;
  readonly catalog: Catalog;
}

/** All stores of a cluster in the order of the configuration, and the key that seals for them. */
export interface Repositories {
  readonly all: readonly Repository[];
  readonly key: EnvelopeKey;
  /** Closes sockets. */
  close(): Promise<void>;
}

/**
 * Opens every store of a cluster, with key and signing keys. Nothing is read from the stores yet.
 * `guard` is put around each store: one that is partitioned must not hold up what another could do.
 * @throws config, refused where a key is absent or exposed
 */
export async function openRepositories(
  cluster: ClusterConfig,
  guard: (store: ObjectStore, rules: StoreRules) => ObjectStore = guardSilence,
): Promise<Repositories> {
  const key = await loadEncryptionKey(cluster.encryption);
  const { keyFile, publicKeyFile } = cluster.signing;
  const options = {
    cluster: cluster.name,
    ...(keyFile === null ? {} : { signingKey: await loadSigningKey(keyFile) }),
    ...(publicKeyFile === null ? {} : { trustedKey: await loadTrustedKey(publicKeyFile) }),
  };
  const all = await Promise.all(
    cluster.stores.map(async (config) => {
      const store = guard(await openStore(config), config);
      return { store, catalog: openCatalog(store, options) };
    }),
  );
  return {
    all,
    key,
    async close() {
      await Promise.all(all.map(({ store }) => store.close()));
    },
  };
}

/** The repository in a store. @throws config where the configuration names no such store */
export function repositoryIn(repositories: Repositories, storeId: string): Repository {
  const found = repositories.all.find(({ store }) => store.id === storeId);
  if (found !== undefined) return found;
  throw new AppError({
    code: 'UnknownStore',
    kind: 'config',
    message: `No store ${JSON.stringify(storeId)} is configured any more, so nothing can be stored there.`,
    facts: { store: storeId },
  });
}

/** The id that all stores of a cluster share. @throws conflict `RepositoriesDiffer` where they hold different repositories */
export async function sharedRepositoryId(repositories: Repositories): Promise<RepositoryId> {
  const states = await Promise.all(repositories.all.map(({ catalog }) => catalog.read()));
  return assertOneRepository(states.map(({ repositoryId }) => repositoryId));
}

/**
 * The id of the repository as it is known, without asking a store; where none is known, as the first
 * store that answers says. The look at all of them has proven that they agree.
 * @throws unavailable, refused where no store can be read
 */
export async function knownRepositoryId(repositories: Repositories): Promise<RepositoryId> {
  const known = repositories.all.find(({ catalog }) => catalog.known !== null)?.catalog.known;
  if (known !== undefined && known !== null) return known.repositoryId;
  try {
    return (await Promise.any(repositories.all.map(({ catalog }) => catalog.read()))).repositoryId;
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  }
}

/** @throws conflict `RepositoriesDiffer` */
export function assertOneRepository(found: readonly RepositoryId[]): RepositoryId {
  const ids = [...new Set(found)];
  const [id] = ids;
  if (id !== undefined && ids.length === 1) return id;
  throw new AppError({
    code: 'RepositoriesDiffer',
    kind: 'conflict',
    message: `The stores of one cluster hold ${ids.length} different repositories (${ids.join(', ')}), so the same bytes cannot be stored in all of them.`,
    hint: 'Give the newer store an empty prefix, then run: pitrail apply',
    facts: { repositoryIds: ids },
  });
}

/** In whose name entries are written, and in which epoch: the one that was claimed for this source. */
export interface Writer {
  readonly role: string;
  readonly source: string;
  readonly epoch: number;
}

/** Signs entries as this process, for a source. Where a handoff came after the claim, they are refused. */
export function signAs({ role, source, epoch }: Writer, now: () => Micros): Signature {
  return () => firstSignature(`${role}/${source}`, now(), epoch);
}

/** Signs the first entries of a repository, which has no state yet. */
export function firstSignature(role: string, at: Micros, epoch = FIRST_EPOCH): AppendBy {
  return { writer: `${hostname()}/${process.pid}/${role}`, epoch, at: formatInstant(at) };
}

/** The present time. */
export function wallClock(): Micros {
  return (BigInt(Date.now()) * 1000n) as Micros;
}

/** The key that a configuration names. @throws as `loadKeyFile` */
export async function loadEncryptionKey(encryption: EncryptionConfig): Promise<EnvelopeKey> {
  return encryption.kind === 'none' ? noEncryption() : loadKeyFile(encryption.keyFile);
}
