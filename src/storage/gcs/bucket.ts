import type { Bucket as LibraryBucket, Storage } from '@google-cloud/storage';
import { AppError } from '../../domain/errors.ts';
import type { GcsAccess } from './access.ts';
import type { Connections } from './connections.ts';
import { gcsFailure, isAltered, isPassing } from './errors.ts';
import type { Protection } from './protection.ts';
import type { RequestExtras } from './requester.ts';
import { Tries } from './tries.ts';

/** One bucket, as the parts of the store share it. */
export interface Bucket {
  readonly access: GcsAccess;
  readonly connections: Connections;
  readonly library: Storage;
  readonly name: string;
  /** For people. */
  readonly location: string;
  /** URL without a path. */
  readonly endpoint: string;
  /** The project that is billed where the requester pays; null where the bucket's own is. */
  readonly billedProject: string | null;
  readonly protection: Protection;
  /** Longest silence on a socket. */
  readonly idleMs: number;
}

type Interceptor = LibraryBucket['interceptors'][number];

/** The bucket as the library knows it, for requests with more than it can be told otherwise. */
export function libraryBucket(
  { library, name, billedProject }: Bucket,
  { headers, ...extras }: RequestExtras,
): LibraryBucket {
  const bucket = library.bucket(name, billedProject === null ? {} : { userProject: billedProject });
  const request = (asked: { readonly headers?: object }) => ({
    ...asked,
    ...extras,
    headers: { ...asked.headers, ...headers },
  });
  bucket.interceptors.push({ request } as unknown as Interceptor);
  return bucket;
}

/**
 * Runs a request that may be sent again: one that reads, or creates with a precondition. What passes
 * is waited out, and credentials that are not accepted are read anew, once.
 * @throws what the last try threw
 */
export async function persistently<T>(
  bucket: Bucket,
  signal: AbortSignal | undefined,
  request: () => Promise<T>,
): Promise<T> {
  const tries = new Tries(bucket.idleMs, signal);
  for (;;) {
    try {
      return await request();
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof AppError || tries.exhausted) throw error;
      const failure = gcsFailure(error);
      const expired = failure.status === 401 && tries.isFirst;
      if (expired) bucket.access.renew();
      else if (!isPassing(failure) && !isAltered(failure)) throw error;
      await tries.next();
    }
  }
}
