import type { IncomingMessage } from 'node:http';
import { AppError } from '../../domain/errors.ts';
import type { GcsAccess } from './access.ts';
import { gcsFailure, isAltered, isPassing, UnexpectedAnswer } from './errors.ts';
import { type HttpClient, type HttpRequest, textOf } from './http.ts';
import type { Protection } from './protection.ts';
import { Tries } from './tries.ts';

/** One bucket, as the parts of the store share it. */
export interface Bucket {
  readonly access: GcsAccess;
  readonly http: HttpClient;
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

/** A URL of the JSON API. */
export function apiUrl(bucket: Bucket, path: string, query: Readonly<Record<string, string>>): string {
  const url = new URL(`${bucket.endpoint}${path}`);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  if (bucket.billedProject !== null) url.searchParams.set('userProject', bucket.billedProject);
  return url.href;
}

/** The path of an object in the JSON API. */
export function objectPath({ name }: Bucket, objectKey: string): string {
  return `/storage/v1/b/${encodeURIComponent(name)}/o/${encodeURIComponent(objectKey)}`;
}

/** Sends a request as whoever the credentials say. @throws as `HttpClient.send` and `GcsAccess.headers` */
export async function send(bucket: Bucket, request: HttpRequest): Promise<IncomingMessage> {
  const proof = await bucket.access.headers();
  request.signal?.throwIfAborted();
  return bucket.http.send({ ...request, headers: { ...request.headers, ...proof } });
}

/** The error that an answer is which was not asked for; reads its body. */
export async function unexpected(answer: IncomingMessage): Promise<UnexpectedAnswer> {
  return new UnexpectedAnswer(answer.statusCode ?? 0, await textOf(answer));
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

/** What a text says as JSON; null where it is none. */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
