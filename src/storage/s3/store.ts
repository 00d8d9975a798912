import { BucketStore } from '../bucket-store.ts';
import type { ObjectStore } from '../object-store.ts';
import type { Bucket } from './bucket.ts';
import { buildS3Client, DEFAULT_TIMEOUTS, type S3StoreConfig, s3Location } from './client.ts';
import { download } from './download.ts';
import { list, readInfo } from './inquire.ts';
import { upload } from './upload.ts';

/** Opens a store in an S3 bucket, at AWS or any server that speaks S3. No request is sent yet. */
export function openS3Store(config: S3StoreConfig): ObjectStore {
  const bucket: Bucket = {
    client: buildS3Client(config),
    name: config.bucket,
    location: s3Location(config),
    idleMs: (config.timeouts ?? DEFAULT_TIMEOUTS).idleMs,
    leftBehind: new Map(),
  };
  return new BucketStore(config.id, config.prefix ?? '', {
    kind: 's3',
    location: bucket.location,
    upload: (objectKey, body, options) => upload(bucket, objectKey, body, options),
    download: (range) => download({ ...range, bucket }),
    info: (objectKey, signal) => readInfo(bucket, objectKey, signal),
    list: (prefix, signal) => list(bucket, prefix, signal),
    close: () => bucket.client.destroy(),
  });
}
