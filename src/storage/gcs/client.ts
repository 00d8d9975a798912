import { Storage } from '@google-cloud/storage';
import { readCaFile } from '../../config/ca-file.ts';
import { GcsAccess, type GcsCredentials } from './access.ts';
import type { Bucket } from './bucket.ts';
import { Connections, type GcsTimeouts } from './connections.ts';
import type { Protection } from './protection.ts';
import { Requester, transportOf } from './requester.ts';

const DEFAULT_TIMEOUTS: GcsTimeouts = { connectMs: 10_000, idleMs: 60_000 };
const GOOGLE = 'https://storage.googleapis.com';

export interface GcsStoreConfig {
  readonly id: string;
  readonly bucket: string;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string;
  /** Another server than Google's. */
  readonly endpoint: string | null;
  /** PEM file of the authorities that may have signed its certificate; those of this host where null. */
  readonly caFile?: string | null;
  /** The project that is billed where the requester pays. */
  readonly billedProject: string | null;
  readonly credentials: GcsCredentials;
  readonly protection: Protection;
  readonly timeouts?: GcsTimeouts;
}

/** A bucket with its connections. No request is sent yet. @throws config `CaUnreadable` */
export function openBucket(config: GcsStoreConfig): Bucket {
  const timeouts = config.timeouts ?? DEFAULT_TIMEOUTS;
  const endpoint = (config.endpoint ?? GOOGLE).replace(/\/+$/, '');
  const location = gcsLocation(config);
  const { idleMs } = timeouts;
  const { caFile = null } = config;
  const access = new GcsAccess({ location, endpoint, credentials: config.credentials, idleMs });
  const connections = new Connections(timeouts, caFile === null ? null : readCaFile(caFile));
  return {
    access,
    connections,
    library: openLibrary(endpoint, new Requester(access, connections)),
    name: config.bucket,
    location,
    endpoint,
    billedProject: config.billedProject,
    protection: config.protection,
    idleMs,
  };
}

function openLibrary(endpoint: string, requester: Requester): Storage {
  const storage = new Storage({
    apiEndpoint: endpoint,
    authClient: requester,
    useAuthWithCustomEndpoint: true,
    // Tried again is in one place only: `persistently`.
    retryOptions: { autoRetry: false, retryableErrorFn: () => false },
  });
  // STORAGE_EMULATOR_HOST would win.
  storage.baseUrl = `${endpoint}/storage/v1`;
  storage.makeAuthenticatedRequest = transportOf(requester);
  return storage;
}

/** For people: where the objects lie. */
function gcsLocation({ bucket, prefix, endpoint }: GcsStoreConfig): string {
  const path = prefix === '' ? '' : `/${prefix}`;
  // An endpoint may name a user; only its host is shown.
  const server = endpoint === null ? '' : ` at ${new URL(endpoint).host}`;
  return `gs://${bucket}${path}${server}`;
}
