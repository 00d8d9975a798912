import type { CreateOptions } from '../object-store.ts';
import { bodyLengthDiffers } from '../refusals.ts';
import type { BodyDigest } from './body-digest.ts';
import type { Bucket } from './bucket.ts';

/** An object to be created. */
export interface Upload {
  readonly bucket: Bucket;
  /** With the prefix of the store. */
  readonly objectKey: string;
  readonly options: CreateOptions;
  readonly digest: BodyDigest;
}

/** Refuses a body of another length than was announced, before anything becomes visible. */
export function checkLength({ objectKey, options, digest }: Upload): void {
  const { lengthBytes: announced } = options;
  if (announced === undefined || announced === digest.lengthBytes) return;
  throw bodyLengthDiffers(objectKey, announced, digest.lengthBytes);
}
