import type { LentMemory } from '../../process/lent-memory.ts';
import type { BodyDigest } from '../body-digest.ts';
import type { CreateOptions } from '../object-store.ts';
import type { Bucket } from './bucket.ts';

/** An object to be created. */
export interface Upload {
  readonly bucket: Bucket;
  /** With the prefix of the store. */
  readonly objectKey: string;
  readonly options: CreateOptions;
  readonly digest: BodyDigest;
  /** Parts lie in it until they are sent. */
  readonly memory: LentMemory;
}
