import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { startGcs } from '../support/gcs.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { startFarStore } from '../workflow/far-store.ts';

/** A cloud's store of its own, which workers reach over a cable, and the scenario directly. */
export interface Bucket {
  readonly id: 'far' | 'gcs';
  /** Its entry in `stores`. */
  readonly entry: unknown;
  readonly cable: TcpProxy;
  /** The scenario's own look at it. */
  readonly store: ObjectStore;
  /** SIGKILL of its server. */
  kill(): Promise<void>;
  /** Starts its server again, on what lies on the disk. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A bucket that takes objects in parts. */
export interface S3Bucket extends Bucket {
  /** Keys of uploads that are neither completed nor aborted, as the server lists them. */
  openUploads(): Promise<string[]>;
  /** How many parts of such uploads lie on its disk, whether it runs or not. */
  partsOnDisk(): Promise<number>;
}

/** A bucket of versitygw, id `far`. */
export async function startS3Bucket(): Promise<S3Bucket> {
  const { s3, cable, bucket, entry, stop } = await startFarStore();
  return {
    ...{ id: 'far', entry, cable, store: bucket, kill: s3.kill, start: s3.start, stop },
    async openUploads() {
      const client = s3.client();
      try {
        const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: s3.bucket }));
        return Uploads.map(({ Key = '' }) => Key);
      } finally {
        client.destroy();
      }
    },
    async partsOnDisk() {
      // versitygw: a folder for each upload, in it a file for each part, by number.
      const uploads = join(s3.folder, s3.bucket, '.sgwtmp', 'multipart');
      const names = await readdir(uploads, { recursive: true, withFileTypes: true });
      return names.filter((entry) => entry.isFile() && /^[0-9]+$/.test(entry.name)).length;
    },
  };
}

/** A bucket of fake-gcs-server, id `gcs`. */
export async function startGcsBucket(): Promise<Bucket> {
  const gcs = await startGcs('archive');
  const cable = await tcpProxy({ host: gcs.host, port: gcs.port });
  const { bucket } = gcs;
  const store = await openStore({
    ...{ kind: 'gcs', id: 'gcs', bucket, prefix: '', endpoint: gcs.endpoint, caFile: null },
    ...{ billedProject: null, credentials: 'anonymous', protection: { retention: null, hold: null } },
  });
  return {
    id: 'gcs',
    entry: {
      id: 'gcs',
      gcs: { bucket, endpoint: `http://${cable.host}:${cable.port}`, credentials: 'anonymous' },
    },
    cable,
    store,
    kill: gcs.kill,
    start: gcs.start,
    async stop() {
      await store.close();
      await cable.stop();
      await gcs.stop();
    },
  };
}

/** Starts buckets for a scenario, and stops them after it, also where it breaks off. */
export async function withBuckets<B extends Bucket, T>(
  starts: readonly (() => Promise<B>)[],
  run: (...buckets: readonly B[]) => Promise<T>,
): Promise<T> {
  const buckets: B[] = [];
  try {
    for (const start of starts) buckets.push(await start());
    return await run(...buckets);
  } finally {
    for (const bucket of buckets) await bucket.stop();
  }
}
