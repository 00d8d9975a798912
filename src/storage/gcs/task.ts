import type { FileMetadata } from '@google-cloud/storage';
import { z } from 'zod';
import { AppError } from '../../domain/errors.ts';
import type { BodyDigest } from '../body-digest.ts';
import { crcFromBase64, crcToBase64, type RunningChecksum } from '../checksum.ts';
import type { CreateOptions } from '../object-store.ts';
import { storedDiffers, storeUnreachable } from '../refusals.ts';
import type { Bucket } from './bucket.ts';
import { gcsError, gcsFailure, permissionIn } from './errors.ts';
import { readInfo } from './inquire.ts';
import { protectionFields } from './protection.ts';

/** An object to be created. */
export interface Upload {
  readonly bucket: Bucket;
  /** With the prefix of the store. */
  readonly objectKey: string;
  readonly options: CreateOptions;
  readonly digest: BodyDigest;
  /** CRC-32C of all that has passed. */
  readonly crc32c: RunningChecksum;
}

/** What is said of an object when it is created. */
export function resourceOf({ bucket, options }: Upload): FileMetadata {
  return {
    contentType: 'application/octet-stream',
    metadata: { ...options.metadata },
    ...protectionFields(bucket.protection, new Date()),
  };
}

export function crcOf({ crc32c }: Upload): string {
  return crcToBase64(crc32c.finish());
}

/** Only where there is none: 0 is the generation of an object that does not exist. */
export const WHERE_NONE_IS = { preconditionOpts: { ifGenerationMatch: 0 } } as const;

/** The library makes a number of the size of some. */
const createdSchema = z.object({ size: z.coerce.number(), crc32c: z.string() });

/**
 * Compares what the store says it has created with what was sent. Google's own servers have
 * compared the checksum before they created it; others may not.
 * @throws corrupt `StoredDiffers`; unavailable where the answer is none
 */
export function checkCreated(task: Upload, answer: unknown): void {
  const { bucket, objectKey, digest, crc32c } = task;
  const created = createdSchema.safeParse(answer);
  if (!created.success) {
    throw storeUnreachable(bucket.location, 'it said that it created an object, and not which');
  }
  const { size, crc32c: kept } = created.data;
  if (size === digest.lengthBytes && crcFromBase64(kept) === crc32c.finish()) return;
  const detail = `${digest.lengthBytes} bytes with the CRC-32C ${crc32c.finish()} were sent, and it keeps ${size} with ${crcFromBase64(kept)}`;
  throw storedDiffers(bucket.location, objectKey, detail);
}

/**
 * Runs a request on the way to a conditional creation. 412: an object stands there.
 *
 * Where no answer came, or the upload is gone, the object itself is asked for: the request may have
 * made it. An account that may only create is denied to overwrite before the condition is looked at.
 * @throws `AppError`; the reason of an abort
 */
export async function orExists<T>(task: Upload, request: () => Promise<T>): Promise<T | 'exists'> {
  const { bucket, options } = task;
  try {
    return await request();
  } catch (error) {
    if (!(error instanceof AppError) && options.signal?.aborted !== true) {
      const { status, message } = gcsFailure(error);
      if (status === 412) return 'exists';
      const denied = status === 403 && permissionIn(message) === 'storage.objects.delete';
      const mayStand = denied || status === null || status === 404 || status === 410;
      if (mayStand && (await stands(task))) return 'exists';
    }
    throw gcsError(bucket.location, 'storage.objects.create', error, options.signal);
  }
}

/** Whether an object is there; false also where that cannot be found out: the first error counts then. */
async function stands({ bucket, objectKey, options }: Upload): Promise<boolean> {
  try {
    return (await readInfo(bucket, objectKey, options.signal)) !== undefined;
  } catch {
    return false;
  }
}
