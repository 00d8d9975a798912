import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openS3Store } from '../../src/storage/s3/store.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { until } from './archive-world.ts';

/** A bucket that workers reach over a cable, and the test directly. */
export interface FarStore {
  readonly s3: TestS3;
  readonly cable: TcpProxy;
  /** The test's own look at it. */
  readonly bucket: ObjectStore;
  /** Its entry in `stores`. */
  readonly entry: { readonly id: string; readonly s3: unknown };
  stop(): Promise<void>;
}

/** Starts the server and the cable; the credentials come into the environment of this process and its children. */
export async function startFarStore(id = 'far'): Promise<FarStore> {
  const s3 = await startS3('archive');
  const cable = await tcpProxy({ host: s3.host, port: s3.port });
  const names = { access: `TEST_S3_ACCESS_${id}`, secret: `TEST_S3_SECRET_${id}` };
  process.env[names.access] = s3.credentials.accessKeyId;
  process.env[names.secret] = s3.credentials.secretAccessKey;
  const bucket = openS3Store({
    id,
    bucket: s3.bucket,
    region: s3.region,
    endpoint: s3.endpoint,
    forcePathStyle: true,
    credentials: async () => s3.credentials,
  });
  return {
    s3,
    cable,
    bucket,
    entry: {
      id,
      s3: {
        bucket: s3.bucket,
        region: s3.region,
        endpoint: `http://127.0.0.1:${cable.port}`,
        pathStyle: true,
        accessKeyId: { env: names.access },
        secretAccessKey: { env: names.secret },
      },
    },
    async stop() {
      await bucket.close();
      await cable.stop();
      await s3.stop();
    },
  };
}

/** Waits for a condition, also on a machine that has much else to do. */
export function soon(what: string, isSo: () => Promise<boolean>): Promise<void> {
  return until(what, isSo, 240_000);
}
