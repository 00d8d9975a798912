import { readSecret } from '../config/secret.ts';
import type { StoreConfig } from '../config/types.ts';
import { assertNever } from '../domain/errors.ts';
import { openDirectoryStore } from './directory.ts';
import type { ObjectStore } from './object-store.ts';
import type { S3Credentials } from './s3/client.ts';

/**
 * Opens a store of the configuration. Nothing is read or sent yet; credentials are read when needed. The
 * SDK of a cloud takes tens of MB, so it is loaded for a store that needs it.
 */
export async function openStore(config: StoreConfig): Promise<ObjectStore> {
  switch (config.kind) {
    case 'directory':
      return openDirectoryStore(config);
    case 's3': {
      const { openS3Store } = await import('./s3/store.ts');
      return openS3Store({
        ...config,
        forcePathStyle: config.pathStyle,
        credentials: config.credentials === null ? null : referenced(config.credentials),
      });
    }
    default:
      return assertNever(config);
  }
}

function referenced(
  refs: NonNullable<Extract<StoreConfig, { kind: 's3' }>['credentials']>,
): () => Promise<S3Credentials> {
  return async () => {
    const [id, secret] = await Promise.all([readSecret(refs.accessKeyId), readSecret(refs.secretAccessKey)]);
    return { accessKeyId: id.reveal(), secretAccessKey: secret.reveal() };
  };
}
