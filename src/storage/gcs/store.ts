import { BucketStore } from '../bucket-store.ts';
import type { ObjectStore } from '../object-store.ts';
import { type GcsStoreConfig, openBucket } from './client.ts';
import { download } from './download.ts';
import { list, readInfo } from './inquire.ts';
import { upload } from './upload.ts';

/** Opens a store in a bucket of Google Cloud Storage. No request is sent yet. */
export function openGcsStore(config: GcsStoreConfig): ObjectStore {
  const bucket = openBucket(config);
  return new BucketStore(config.id, config.prefix, {
    kind: 'gcs',
    location: bucket.location,
    upload: (objectKey, body, options) => upload(bucket, objectKey, body, options),
    download: (range) => download({ ...range, bucket }),
    info: (objectKey, signal) => readInfo(bucket, objectKey, signal),
    list: (prefix, signal) => list(bucket, prefix, signal),
    close: () => bucket.connections.close(),
  });
}
