import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { ObjectRange } from '../bucket-store.ts';
import { type Checksum, crcFromBase64 } from '../checksum.ts';
import { objectMissing, storeUnreachable } from '../refusals.ts';
import { type Answer, replacedWhileRead, resumedRead } from '../resumed-read.ts';
import { type Bucket, libraryBucket, persistently } from './bucket.ts';
import { gcsError, gcsFailure, isBucketMissing } from './errors.ts';

interface Download extends ObjectRange {
  readonly bucket: Bucket;
}

/**
 * Streams an object or a range of it; what is asked for again is of the same generation. A whole
 * object is compared with its CRC-32C.
 * @throws refused `ObjectMissing`, `StoreDenied`; config `BucketMissing`; and as `resumedRead`
 */
export function download(task: Download): AsyncGenerator<Uint8Array> {
  const { location, idleMs } = task.bucket;
  return resumedRead({
    ...task,
    location,
    idleMs,
    ask: (offset, generation) => ask(task, offset, generation),
  });
}

/** Sends a request; undefined where the range begins behind the end of the object. */
async function ask(
  task: Download,
  offset: number,
  generation: string | undefined,
): Promise<Answer | undefined> {
  const { bucket, key, signal } = task;
  try {
    return await persistently(bucket, signal, () => askOnce(task, offset, generation));
  } catch (error) {
    const failure = gcsFailure(error);
    if (failure.status === 416) return undefined;
    if (failure.status === 404 && !isBucketMissing(failure)) {
      throw generation === undefined
        ? objectMissing(bucket.location, key)
        : replacedWhileRead(bucket.location, key);
    }
    throw gcsError(bucket.location, 'storage.objects.get', error, signal);
  }
}

async function askOnce(task: Download, offset: number, generation: string | undefined): Promise<Answer> {
  const { bucket, objectKey, end, signal } = task;
  const ranged = offset > 0 || end !== Number.POSITIVE_INFINITY;
  const { billedProject } = bucket;
  const body = libraryBucket(bucket, { signal, headers: { 'accept-encoding': 'identity' } })
    .file(objectKey, generation === undefined ? {} : { generation })
    .createReadStream({
      // `resumedRead` compares, over all answers together.
      validation: false,
      decompress: false,
      ...(ranged ? { start: offset } : {}),
      ...(end === Number.POSITIVE_INFINITY ? {} : { end: end - 1 }),
      ...(billedProject === null ? {} : { userProject: billedProject }),
    });
  // An error behind the head is told to whoever reads the body, also where nobody does yet.
  body.on('error', () => undefined);
  // The library asks when it is read from.
  body.read(0);
  const [head] = (await once(body, 'response')) as [IncomingMessage];
  // From here on the reader watches the time: a consumer that takes its own is no silent server.
  head.setTimeout(0);
  return answerOf(task, offset, ranged ? 206 : 200, head, body);
}

function answerOf(
  { bucket }: Download,
  offset: number,
  status: number,
  { headers, statusCode }: IncomingMessage,
  body: Readable,
): Answer {
  const endsAt = offset + Number(headers['content-length']);
  const promised = rangeIn(headers);
  if (
    statusCode !== status ||
    !Number.isSafeInteger(endsAt) ||
    promised.startsAt !== offset ||
    (promised.endsAt ?? endsAt) !== endsAt
  ) {
    body.destroy();
    throw storeUnreachable(bucket.location, 'it answered with another range or length than it has');
  }
  const generation = headers['x-goog-generation'];
  return {
    body,
    endsAt,
    version: typeof generation === 'string' ? generation : undefined,
    checksum: checksumIn(headers['x-goog-hash']),
  };
}

/** Which bytes of the object the answer says that it brings; not every server tells the end of a whole one. */
function rangeIn(headers: IncomingHttpHeaders): {
  readonly startsAt: number;
  readonly endsAt: number | undefined;
} {
  const [, first, last] = /^bytes (\d+)-(\d+)\//.exec(headers['content-range'] ?? '') ?? [];
  if (last !== undefined) return { startsAt: Number(first), endsAt: Number(last) + 1 };
  const stored = headers['x-goog-stored-content-length'];
  return { startsAt: 0, endsAt: stored === undefined ? undefined : Number(stored) };
}

/** `crc32c=…,md5=…`, of the object as it is stored; the header may come more than once. */
function checksumIn(header: string | string[] | undefined): Checksum | null {
  const base64 = /\bcrc32c=([A-Za-z0-9+/]{6}==)/.exec([header ?? ''].flat().join(','))?.[1];
  return base64 === undefined ? null : { kind: 'crc32c', hex: crcFromBase64(base64) };
}
