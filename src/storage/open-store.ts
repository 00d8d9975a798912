import { readSecret } from '../config/secret.ts';
import type { StoreConfig } from '../config/types.ts';
import { assertNever } from '../domain/errors.ts';
import { openDirectoryStore } from './directory.ts';
import type { ObjectStore } from './object-store.ts';
import type { S3Credentials } from './s3/client.ts';
import { openS3Store } from './s3/store.ts';

/** Opens a store of the configuration. Nothing is read or sent yet; credentials are read when needed. */
export function openStore(config: StoreConfig): ObjectStore {
  switch (config.kind) {
    case 'directory':
      return openDirectoryStore(config);
    case 's3':
      return openS3Store({
        ...config,
        forcePathStyle: config.pathStyle,
        credentials: config.credentials === null ? null : referenced(config.credentials),
      });
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
