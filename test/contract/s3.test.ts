import { join } from 'node:path';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { openS3Store } from '../../src/storage/s3/store.ts';
import { startS3 } from '../support/s3.ts';
import { crcOf } from './store-bodies.ts';
import { storeConformance } from './store-conformance.ts';

storeConformance('s3', async () => {
  const server = await startS3();
  const client = server.client();
  return {
    open: () =>
      openS3Store({
        id: 's3',
        bucket: server.bucket,
        region: server.region,
        prefix: 'prod/shop',
        endpoint: server.endpoint,
        forcePathStyle: true,
        credentials: async () => server.credentials,
      }),
    checksumOf: (bytes) => ({ kind: 'crc32', hex: crcOf(bytes) }),
    fileOf: (key) => join(server.folder, server.bucket, 'prod/shop', key),
    async leftovers() {
      const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: server.bucket }));
      return (Uploads ?? []).map(({ Key }) => Key ?? '');
    },
    vanish: () => server.kill(),
    comeBack: () => server.start(),
    async stop() {
      client.destroy();
      await server.stop();
    },
  };
});
