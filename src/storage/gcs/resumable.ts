import { AppError } from '../../domain/errors.ts';
import type { Part } from '../parts.ts';
import { storedDiffers, storeUnreachable, withAftermath } from '../refusals.ts';
import { libraryBucket, persistently } from './bucket.ts';
import { MORE_WANTED } from './connections.ts';
import { gcsError, gcsFailure, isPassing } from './errors.ts';
import { checkCreated, crcOf, orExists, resourceOf, type Upload, WHERE_NONE_IS } from './task.ts';
import { Tries } from './tries.ts';

const CANCEL_TIMEOUT_MS = 30_000;

/**
 * Uploads an object in chunks, one after the other, while the next is gathered. Nothing is visible
 * before the end; a failure cancels the upload. A crash leaves an upload that Google forgets after a
 * week, invisible and not billed.
 *
 * A chunk whose answer is lost is sent again as it was: the store ignores what it has already, and
 * says in its next answer how far it has come. Source: Cloud Storage, "Resumable uploads".
 */
export async function putChunks(
  task: Upload,
  first: Part,
  rest: AsyncGenerator<Part>,
): Promise<'created' | 'exists'> {
  const session = await orExists(task, () => begin(task));
  if (session === 'exists') return session;
  let status: 'created' | 'exists';
  try {
    status = await sendChunks(task, session, first, rest);
  } catch (error) {
    throw await cancelAfter(task, session, error);
  }
  if (status === 'exists') await cancel(task, session);
  return status;
}

/** Whoever knows the session's URL may upload to it: it is shown nowhere. */
async function begin(task: Upload): Promise<string> {
  const { bucket, objectKey, options } = task;
  const file = libraryBucket(bucket, { signal: options.signal }).file(objectKey);
  const asked = { ...WHERE_NONE_IS, metadata: resourceOf(task) };
  const [session] = await persistently(bucket, options.signal, () => file.createResumableUpload(asked));
  // An answer without one is an answer to the library.
  if (typeof session !== 'string') throw uploadLost(task, 'it began an upload without naming it');
  if (bucket.endpoint.startsWith('https:') && !session.startsWith('https:')) {
    throw uploadLost(task, 'it wants the bytes over a connection that is not encrypted');
  }
  return session;
}

async function sendChunks(
  task: Upload,
  session: string,
  first: Part,
  rest: AsyncGenerator<Part>,
): Promise<'created' | 'exists'> {
  const { options, digest, objectKey } = task;
  for (let part = first, startsAt = 0; ; ) {
    const next = part.last ? null : rest.next();
    // Its error is thrown where it is waited for; this chunk's comes first.
    next?.catch(() => undefined);
    if (part.last) digest.checkLength(objectKey, options.lengthBytes);
    const outcome = await orExists(task, () => sendChunk(task, session, part, startsAt));
    if (outcome === 'exists') return outcome;
    startsAt += part.bytes.length;
    options.onProgress?.(startsAt);
    if (next === null) return 'created';
    part = (await next).value;
  }
}

/** Sends a chunk until the store has all of it. */
async function sendChunk(
  task: Upload,
  session: string,
  { bytes, last }: Part,
  startsAt: number,
): Promise<void> {
  const endsAt = startsAt + bytes.length;
  const tries = new Tries(task.bucket.idleMs, task.options.signal);
  for (let at = startsAt; ; ) {
    try {
      const taken = await putRange(task, session, bytes.subarray(at - startsAt), at, last ? endsAt : null);
      if (taken === 'created' || (taken === endsAt && !last)) return;
      if (taken < startsAt)
        throw uploadLost(task, `it has ${taken} bytes of an upload of which it had ${startsAt}`);
      if (taken > at) tries.restart();
      else if (tries.exhausted) throw uploadLost(task, `it takes no bytes behind the first ${at}`);
      at = taken;
    } catch (error) {
      task.options.signal?.throwIfAborted();
      if (error instanceof AppError || tries.exhausted || !isPassing(gcsFailure(error))) throw error;
    }
    await tries.next();
  }
}

/**
 * Sends one range. Returns how many bytes of the object the store has, or that it has made it of them.
 * This is the one request that the library's own code does not send: see ADR 5.
 */
async function putRange(
  task: Upload,
  session: string,
  bytes: Buffer,
  at: number,
  totalBytes: number | null,
): Promise<number | 'created'> {
  const range = bytes.length === 0 ? '*' : `${at}-${at + bytes.length - 1}`;
  const { status, headers, data } = await task.bucket.library.authClient.request({
    method: 'PUT',
    url: session,
    headers: {
      'content-range': `bytes ${range}/${totalBytes ?? '*'}`,
      // The last chunk carries the checksum of the whole, which the store compares before it creates.
      ...(totalBytes === null ? {} : { 'x-goog-hash': `crc32c=${crcOf(task)}` }),
    },
    data: bytes,
    signal: task.options.signal ?? null,
  });
  if (status === MORE_WANTED) {
    const end = /^bytes=0-(\d+)$/.exec(headers.get('range') ?? '')?.[1];
    return end === undefined ? 0 : Number(end) + 1;
  }
  if (totalBytes === null) throw endedEarly(task, at + bytes.length);
  checkCreated(task, data);
  return 'created';
}

/** @throws `AppError` where the upload stays open */
async function cancel(task: Upload, session: string): Promise<void> {
  const { location, library } = task.bucket;
  const signal = AbortSignal.timeout(CANCEL_TIMEOUT_MS);
  try {
    await library.authClient.request({ method: 'DELETE', url: session, signal });
  } catch (error) {
    // 499: cancelled. Gone already: ended by its object, by its error, or by time.
    if ([404, 410, 499].includes(gcsFailure(error).status ?? 0)) return;
    throw gcsError(location, 'storage.objects.create', error);
  }
}

/** Cancels after a failure, which is what counts; that the upload stayed open is added to it. */
async function cancelAfter(task: Upload, session: string, failure: unknown): Promise<unknown> {
  try {
    await cancel(task, session);
    return failure;
  } catch (error) {
    const note = 'The upload could not be cancelled, and ends by itself after a week.';
    return withAftermath(failure, error, note);
  }
}

function uploadLost({ bucket }: Upload, detail: string): AppError {
  return storeUnreachable(bucket.location, detail);
}

function endedEarly({ bucket, objectKey }: Upload, atBytes: number): AppError {
  return storedDiffers(bucket.location, objectKey, `the store made the object of the first ${atBytes} bytes`);
}
