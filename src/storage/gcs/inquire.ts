import { z } from 'zod';
import { crcFromBase64 } from '../checksum.ts';
import type { ListedObject, ObjectInfo } from '../object-store.ts';
import { storeUnreachable } from '../refusals.ts';
import { type Bucket, libraryBucket, persistently } from './bucket.ts';
import { gcsError, gcsFailure, isBucketMissing } from './errors.ts';

const lengthSchema = z.string().regex(/^\d+$/).transform(Number).refine(Number.isSafeInteger);
const objectSchema = z.object({
  name: z.string(),
  size: lengthSchema,
  crc32c: z.string().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});
/** As many as GCS gives at most. */
const PAGE_OBJECTS = 1000;
/** With its kind, or any document without items would pass for an empty listing. */
const pageSchema = z.object({
  kind: z.literal('storage#objects'),
  items: z.array(z.object({ name: z.string(), size: lengthSchema })).default([]),
  nextPageToken: z.string().min(1).optional(),
});

/** What the store says of an object; undefined where there is none. @throws as `ObjectStore.head` */
export async function readInfo(
  bucket: Bucket,
  objectKey: string,
  signal: AbortSignal | undefined,
): Promise<Omit<ObjectInfo, 'key'> | undefined> {
  const file = libraryBucket(bucket, { signal }).file(objectKey);
  try {
    const [answer] = await persistently(bucket, signal, () => file.getMetadata());
    const { size, metadata = {}, crc32c } = decoded(bucket, objectSchema, answer);
    const checksum = crc32c === undefined ? null : ({ kind: 'crc32c', hex: crcFromBase64(crc32c) } as const);
    return { lengthBytes: size, metadata, checksum };
  } catch (error) {
    const failure = gcsFailure(error);
    if (failure.status === 404 && !isBucketMissing(failure)) return undefined;
    throw gcsError(bucket.location, 'storage.objects.get', error, signal);
  }
}

/** The keys that start with a prefix. @throws as `ObjectStore.list` */
export async function* list(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListedObject> {
  for (let token: string | undefined, more = true; more; more = token !== undefined) {
    const page = await pageOf(bucket, prefix, token, signal);
    for (const { name, size } of page.items) yield { key: name, lengthBytes: size };
    token = page.nextPageToken;
  }
}

async function pageOf(
  bucket: Bucket,
  prefix: string,
  token: string | undefined,
  signal: AbortSignal | undefined,
): Promise<z.infer<typeof pageSchema>> {
  const query = {
    prefix,
    maxResults: PAGE_OBJECTS,
    fields: 'kind,items(name,size),nextPageToken',
    ...(token === undefined ? {} : { pageToken: token }),
    autoPaginate: false,
  };
  const asked = libraryBucket(bucket, { signal });
  try {
    // The library takes anything for a page; the answer itself is the third.
    const [, , answer] = await persistently(bucket, signal, () => asked.getFiles(query));
    return decoded(bucket, pageSchema, answer);
  } catch (error) {
    throw gcsError(bucket.location, 'storage.objects.list', error, signal);
  }
}

function decoded<T>(bucket: Bucket, schema: z.ZodType<T>, answer: unknown): T {
  const found = schema.safeParse(answer);
  if (found.success) return found.data;
  throw storeUnreachable(bucket.location, 'it answered with something else than was asked for');
}
