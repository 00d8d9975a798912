import { readSecret, type SecretRef } from '../config/secret.ts';
import type { StoreConfig } from '../config/types.ts';
import { assertNever } from '../domain/errors.ts';
import { openDirectoryStore } from './directory.ts';
import type { GcsCredentials } from './gcs/access.ts';
import type { ObjectStore } from './object-store.ts';
import type { S3Credentials } from './s3/client.ts';
import { watched } from './watch.ts';

/**
 * Opens a store of the configuration. No request is sent yet; credentials are read when needed.
 * What a kind of store needs is loaded with its first store: the library of S3 alone takes 35 MB of memory.
 * @throws config `CaUnreadable`
 */
export async function openStore(config: StoreConfig): Promise<ObjectStore> {
  return watched(config, await openUnwatched(config));
}

async function openUnwatched(config: StoreConfig): Promise<ObjectStore> {
  switch (config.kind) {
    case 'directory':
      return openDirectoryStore(config);
    case 's3': {
      const { openS3Store } = await import('./s3/store.ts');
      const credentials = config.credentials === null ? null : s3Credentials(config.credentials);
      return openS3Store({ ...config, forcePathStyle: config.pathStyle, credentials });
    }
    case 'gcs': {
      const { openGcsStore } = await import('./gcs/store.ts');
      return openGcsStore({ ...config, credentials: gcsCredentials(config.credentials) });
    }
    default:
      return assertNever(config);
  }
}

function s3Credentials(
  refs: NonNullable<Extract<StoreConfig, { kind: 's3' }>['credentials']>,
): () => Promise<S3Credentials> {
  return async () => {
    const [id, secret] = await Promise.all([readSecret(refs.accessKeyId), readSecret(refs.secretAccessKey)]);
    return { accessKeyId: id.reveal(), secretAccessKey: secret.reveal() };
  };
}

function gcsCredentials(credentials: 'default' | 'anonymous' | SecretRef): GcsCredentials {
  if (typeof credentials === 'string') return { kind: credentials };
  return { kind: 'given', read: async () => (await readSecret(credentials)).reveal() };
}
