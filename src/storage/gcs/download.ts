import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { ObjectRange } from '../bucket-store.ts';
import { type Checksum, crcFromBase64 } from '../checksum.ts';
import { objectMissing, storeUnreachable } from '../refusals.ts';
import { type Answer, replacedWhileRead, resumedRead } from '../resumed-read.ts';
import { apiUrl, type Bucket, objectPath, persistently, send, unexpected } from './bucket.ts';
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
  const query = { alt: 'media', ...(generation === undefined ? {} : { generation }) };
  const ranged = offset > 0 || end !== Number.POSITIVE_INFINITY;
  const answer = await send(bucket, {
    method: 'GET',
    url: apiUrl(bucket, objectPath(bucket, objectKey), query),
    headers: {
      'accept-encoding': 'identity',
      ...(ranged ? { range: `bytes=${offset}-${end === Number.POSITIVE_INFINITY ? '' : end - 1}` } : {}),
    },
    body: [],
    signal,
  });
  if (answer.statusCode !== (ranged ? 206 : 200)) throw await unexpected(answer);
  // From here on the reader watches the time: a consumer that takes its own is no silent server.
  answer.setTimeout(0);
  return answerOf(task, offset, answer);
}

function answerOf({ bucket }: Download, offset: number, answer: IncomingMessage): Answer {
  const { headers } = answer;
  const endsAt = offset + Number(headers['content-length']);
  const promised = rangeIn(headers);
  if (
    !Number.isSafeInteger(endsAt) ||
    promised.startsAt !== offset ||
    (promised.endsAt ?? endsAt) !== endsAt
  ) {
    answer.destroy();
    throw storeUnreachable(bucket.location, 'it answered with another range or length than it has');
  }
  const generation = headers['x-goog-generation'];
  return {
    body: answer,
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
