import type { Readable } from 'node:stream';
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { AppError } from '../../domain/errors.ts';
import { objectMissing, storedDiffers, storeUnreachable } from '../refusals.ts';
import { type Bucket, withSignal } from './bucket.ts';
import { s3Error, s3Failure } from './errors.ts';
import { backOff } from './wait.ts';

/** Broken answers in a row without a byte in between, after which reading gives up. */
const MAX_BARREN_ANSWERS = 5;

export interface Download {
  readonly bucket: Bucket;
  /** As the caller of the store knows it. */
  readonly key: string;
  /** With the prefix of the store. */
  readonly objectKey: string;
  /** From `start` to before `end`; Infinity for all. */
  readonly start: number;
  readonly end: number;
  readonly signal: AbortSignal | undefined;
}

/** An answer under way. */
interface Answer {
  readonly body: Readable;
  /** Offset in the object behind the last byte that this answer will bring. */
  readonly endsAt: number;
  readonly etag: string | undefined;
}

/**
 * Streams an object or a range of it. A body that breaks, stalls or ends early is asked for again
 * from where it stopped, of the same object (`If-Match`). A range behind the end is empty.
 *
 * @throws refused `ObjectMissing`, `StoreDenied`; corrupt `StoredDiffers` where the object was replaced
 *   or the store sends more than it promised; unavailable
 */
export async function* download(task: Download): AsyncGenerator<Uint8Array> {
  let offset = task.start;
  let answer = await ask(task, offset, undefined);
  if (answer === undefined) return;
  const { endsAt } = answer;
  for (let barren = 0; ; ) {
    const before = offset;
    const chunks = new BodyReader(answer.body, task.bucket.idleMs);
    try {
      for (let chunk = await chunks.next(); chunk !== undefined; chunk = await chunks.next()) {
        task.signal?.throwIfAborted();
        offset += chunk.length;
        if (offset > endsAt) throw tooMuch(task, endsAt);
        yield chunk;
      }
    } finally {
      answer.body.destroy();
    }
    if (offset === endsAt) return;
    barren = offset > before ? 0 : barren + 1;
    if (barren === MAX_BARREN_ANSWERS) throw broken(task, offset, endsAt, chunks.failure);
    answer = await resume(task, offset, answer);
  }
}

/** Asks for the rest of an object, for a while: what broke the connection may refuse new ones too. */
async function resume(task: Download, offset: number, broken: Answer): Promise<Answer> {
  const deadline = performance.now() + 2 * task.bucket.idleMs;
  for (let attempt = 1; ; attempt++) {
    await backOff(attempt, task.signal);
    try {
      const answer = await ask(task, offset, broken.etag);
      if (answer?.endsAt === broken.endsAt) return answer;
      throw changed(task, answer);
    } catch (error) {
      const passing = error instanceof AppError && error.kind === 'unavailable';
      if (!passing || performance.now() > deadline) throw error;
    }
  }
}

/** Reads chunk after chunk; a failure of the connection is an early end, and is remembered. */
class BodyReader {
  readonly #body: Readable;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #idleMs: number;
  #failure: unknown;

  constructor(body: Readable, idleMs: number) {
    this.#body = body;
    this.#chunks = body[Symbol.asyncIterator]();
    this.#idleMs = idleMs;
  }

  get failure(): unknown {
    return this.#failure;
  }

  async next(): Promise<Uint8Array | undefined> {
    const timer = setTimeout(() => {
      this.#body.destroy(new Error(`no byte came for ${this.#idleMs} ms`));
    }, this.#idleMs);
    try {
      const { done, value } = await this.#chunks.next();
      return done === true ? undefined : value;
    } catch (error) {
      this.#failure = error;
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Sends a request; undefined where the range begins behind the end of the object. */
async function ask(task: Download, offset: number, etag: string | undefined): Promise<Answer | undefined> {
  const { bucket, key, objectKey, end, signal } = task;
  const ranged = offset > 0 || end !== Number.POSITIVE_INFINITY;
  const command = new GetObjectCommand({
    Bucket: bucket.name,
    Key: objectKey,
    ...(ranged ? { Range: `bytes=${offset}-${end === Number.POSITIVE_INFINITY ? '' : end - 1}` } : {}),
    ...(etag === undefined ? {} : { IfMatch: etag }),
  });
  try {
    return answerOf(task, offset, await bucket.client.send(command, withSignal(signal)));
  } catch (error) {
    const { code, status } = s3Failure(error);
    if (status === 416 || code === 'InvalidRange') return undefined;
    if (status === 412) throw changed(task, undefined);
    if (code === 'NoSuchKey') throw objectMissing(bucket.location, key);
    throw s3Error(bucket.location, 's3:GetObject', error, signal);
  }
}

function answerOf(task: Download, offset: number, output: GetObjectCommandOutput): Answer {
  const { Body, ContentLength, ETag } = output;
  if (Body === undefined || ContentLength === undefined) {
    throw storeUnreachable(task.bucket.location, 'it answered without a body or its length');
  }
  // In Node the SDK's body is the response itself.
  return { body: Body as Readable, endsAt: offset + ContentLength, etag: ETag };
}

function tooMuch(task: Download, endsAt: number): Error {
  return storedDiffers(task.bucket.location, task.key, `more bytes came than the ${endsAt} promised`);
}

function changed(task: Download, answer: Answer | undefined): Error {
  answer?.body.destroy();
  return storedDiffers(task.bucket.location, task.key, 'it was replaced while it was read');
}

function broken(task: Download, offset: number, endsAt: number, failure: unknown): Error {
  const reason = failure === undefined ? 'the answer ended early' : s3Failure(failure).message;
  return storeUnreachable(
    task.bucket.location,
    `reading ${task.key} broke off at byte ${offset} of ${endsAt}, again and again: ${reason}`,
  );
}
