import { S3Client } from '@aws-sdk/client-s3';
import { readCaFile } from '../../config/ca-file.ts';
import { MINIMUM_TLS } from '../../domain/transport.ts';
import { traceRequests } from './trace-requests.ts';

/** Time limits of requests; a test may shorten them. */
export interface S3Timeouts {
  readonly connectMs: number;
  /** Longest silence on a socket. */
  readonly idleMs: number;
}

export const DEFAULT_TIMEOUTS: S3Timeouts = { connectMs: 10_000, idleMs: 60_000 };

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3StoreConfig {
  readonly id: string;
  readonly bucket: string;
  readonly region: string;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix?: string;
  /** Another server than AWS. */
  readonly endpoint?: string | null;
  /** PEM file of the authorities that may have signed its certificate; those of this host where null. */
  readonly caFile?: string | null;
  readonly forcePathStyle?: boolean;
  /** Asked now and again, so that rotated credentials are taken up; the SDK's own chain where null. */
  readonly credentials?: (() => Promise<S3Credentials>) | null;
  readonly timeouts?: S3Timeouts;
}

/** How long given credentials are used before they are asked for again (the SDK asks 5 minutes early). */
const CREDENTIALS_LAST_MS = 10 * 60 * 1000;
/** More than the parts in flight of a few transfers; further requests wait. */
const MAX_SOCKETS = 64;

/** A client whose own retries are few, with jitter; whoever calls may try again later. @throws config `CaUnreadable` */
export function buildS3Client(config: S3StoreConfig): S3Client {
  const { connectMs, idleMs } = config.timeouts ?? DEFAULT_TIMEOUTS;
  const given = config.credentials ?? null;
  const client = new S3Client({
    region: config.region,
    forcePathStyle: config.forcePathStyle ?? false,
    ...(config.endpoint === undefined || config.endpoint === null ? {} : { endpoint: config.endpoint }),
    ...(given === null
      ? {}
      : {
          credentials: async () => ({
            ...(await given()),
            expiration: new Date(Date.now() + CREDENTIALS_LAST_MS),
          }),
        }),
    customUserAgent: 'pitrail',
    maxAttempts: 4,
    retryMode: 'standard',
    // CRCs are given with each upload and compared on each read here; the SDK need not compute others.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectMs,
      socketTimeout: idleMs,
      httpAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: MAX_SOCKETS, ...MINIMUM_TLS, ...authorities(config) },
    },
  });
  traceRequests(client);
  return client;
}

function authorities({ caFile = null }: S3StoreConfig): { readonly ca?: string } {
  return caFile === null ? {} : { ca: readCaFile(caFile) };
}

/** For people: where the objects lie. */
export function s3Location(config: S3StoreConfig): string {
  const path = config.prefix === undefined || config.prefix === '' ? '' : `/${config.prefix}`;
  const endpoint = config.endpoint ?? null;
  // An endpoint may name a user; only its host is shown.
  const server = endpoint === null ? '' : ` at ${new URL(endpoint).host}`;
  return `s3://${config.bucket}${path}${server}`;
}
