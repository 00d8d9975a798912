import { startGcs } from '../support/gcs.ts';
import { startS3 } from '../support/s3.ts';

/** Two clouds, as entries of `stores`: `s3` and `gcs`. */
export interface CloudStores {
  readonly entries: readonly [unknown, unknown];
  /** Where their objects lie as files. */
  readonly folders: { readonly s3: string; readonly gcs: string };
  stop(): Promise<void>;
}

const ACCESS_VARIABLE = 'PITRAIL_TEST_CLOUD_ACCESS';
const SECRET_VARIABLE = 'PITRAIL_TEST_CLOUD_SECRET';

/** Starts versitygw and fake-gcs-server. */
export async function startCloudStores(): Promise<CloudStores> {
  const [s3, gcs] = await Promise.all([startS3(), startGcs()]);
  process.env[ACCESS_VARIABLE] = s3.credentials.accessKeyId;
  process.env[SECRET_VARIABLE] = s3.credentials.secretAccessKey;
  const credentials = { accessKeyId: { env: ACCESS_VARIABLE }, secretAccessKey: { env: SECRET_VARIABLE } };
  const { region, endpoint } = s3;
  return {
    entries: [
      { id: 's3', s3: { bucket: s3.bucket, region, endpoint, pathStyle: true, ...credentials } },
      { id: 'gcs', gcs: { bucket: gcs.bucket, endpoint: gcs.endpoint, credentials: 'anonymous' } },
    ],
    folders: { s3: `${s3.folder}/${s3.bucket}`, gcs: `${gcs.folder}/${gcs.bucket}` },
    async stop() {
      await Promise.all([s3.stop(), gcs.stop()]);
    },
  };
}
