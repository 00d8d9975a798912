import { loadSigningKey, loadTrustedKey } from '../catalog/keys.ts';
import { AppError, assertNever } from '../domain/errors.ts';
import { loadKeyFile } from '../envelope/keys.ts';
import { describeSecret, readSecret, type SecretRef } from './secret.ts';
import type { ClusterConfig, PitrailConfig, StoreConfig } from './types.ts';

/** Whether one secret or key that the configuration points to can be used. */
export type ReferenceCheck =
  | { readonly status: 'usable'; readonly what: string }
  | { readonly status: 'unusable'; readonly what: string; readonly error: AppError };

type Reference = { readonly what: string; readonly load: () => Promise<unknown> };

/** Tries every secret and key of a configuration. Tells all that cannot be used, and shows none. */
export async function checkReferences(
  config: PitrailConfig,
  env: NodeJS.ProcessEnv,
): Promise<ReferenceCheck[]> {
  const { apiKey } = config.temporal;
  const references = [
    ...(apiKey === null ? [] : [secret('API key of Temporal', apiKey, env)]),
    ...config.clusters.flatMap((cluster) => clusterReferences(cluster, env)),
  ];
  return Promise.all(references.map(tryReference));
}

/** Tries the secrets and keys of one cluster. */
export async function checkClusterReferences(
  cluster: ClusterConfig,
  env: NodeJS.ProcessEnv,
): Promise<ReferenceCheck[]> {
  return Promise.all(clusterReferences(cluster, env).map(tryReference));
}

function clusterReferences(cluster: ClusterConfig, env: NodeJS.ProcessEnv): Reference[] {
  const { encryption, signing } = cluster;
  return [
    ...cluster.sources.map(({ id, password }) => secret(`password of ${id}`, password, env)),
    ...cluster.stores.flatMap((store) => storeReferences(store, env)),
    ...(encryption.kind === 'none' ? [] : [file('encryption key', encryption.keyFile, loadKeyFile)]),
    ...(signing.keyFile === null ? [] : [file('signing key', signing.keyFile, loadSigningKey)]),
    ...(signing.publicKeyFile === null
      ? []
      : [file('trusted public key', signing.publicKeyFile, loadTrustedKey)]),
  ];
}

function storeReferences(store: StoreConfig, env: NodeJS.ProcessEnv): Reference[] {
  switch (store.kind) {
    case 'directory':
      return [];
    case 's3':
      if (store.credentials === null) return [];
      return [
        secret(`access key id of ${store.id}`, store.credentials.accessKeyId, env),
        secret(`secret access key of ${store.id}`, store.credentials.secretAccessKey, env),
      ];
    case 'gcs':
      if (typeof store.credentials === 'string') return [];
      return [secret(`credentials of ${store.id}`, store.credentials, env)];
    default:
      return assertNever(store);
  }
}

function secret(what: string, ref: SecretRef, env: NodeJS.ProcessEnv): Reference {
  return { what: `${what} (${describeSecret(ref)})`, load: () => readSecret(ref, env) };
}

function file(what: string, path: string, load: (path: string) => Promise<unknown>): Reference {
  return { what: `${what} (file ${path})`, load: () => load(path) };
}

async function tryReference({ what, load }: Reference): Promise<ReferenceCheck> {
  try {
    await load();
    return { status: 'usable', what };
  } catch (error) {
    if (error instanceof AppError) return { status: 'unusable', what, error };
    throw error;
  }
}
