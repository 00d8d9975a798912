import { join } from 'node:path';
import { UNPROTECTED } from '../../src/storage/gcs/protection.ts';
import { openGcsStore } from '../../src/storage/gcs/store.ts';
import { startGcs } from '../support/gcs.ts';
import { openSessions } from './gcs-sessions.ts';
import { httpFaults } from './http-fault.ts';
import { crc32cOf } from './store-bodies.ts';
import { storeConformance } from './store-conformance.ts';

storeConformance('gcs', async () => {
  const server = await startGcs();
  const faults = await httpFaults(server);
  const sessions = openSessions(faults);
  return {
    open: () =>
      openGcsStore({
        id: 'gcs',
        bucket: server.bucket,
        prefix: 'prod/shop',
        endpoint: faults.endpoint,
        billedProject: null,
        credentials: { kind: 'anonymous' },
        protection: UNPROTECTED,
      }),
    checksumOf: (bytes) => ({ kind: 'crc32c', hex: crc32cOf(bytes) }),
    fileOf: (key) => join(server.folder, server.bucket, 'prod/shop', key),
    leftovers: async () => sessions(),
    vanish: () => server.kill(),
    comeBack: () => server.start(),
    async stop() {
      await faults.stop();
      await server.stop();
    },
  };
});
