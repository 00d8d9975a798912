import type { Sha256 } from '../domain/identity.ts';
import type { Checksum } from './checksum.ts';

/** What a store says of an object without reading its body. */
export interface ObjectInfo {
  readonly key: string;
  readonly lengthBytes: number;
  /** Lower-case names; empty where the store lost or never had it. Never needed to restore. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Of the whole object, kept by the store itself; null where it keeps none. */
  readonly checksum: Checksum | null;
}

/** A name met while listing. Order and completeness are hints, never proof. */
export interface ListedObject {
  readonly key: string;
  readonly lengthBytes: number;
}

/** `exists`: another object stands under this key; the caller compares before it calls that success. */
export type CreateOutcome =
  | {
      readonly status: 'created';
      readonly lengthBytes: number;
      readonly sha256: Sha256;
      readonly crc32: string;
    }
  | { readonly status: 'exists' };

export interface CreateOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** Where known, a small object goes in one request; otherwise the parts decide. */
  readonly lengthBytes?: number;
  readonly signal?: AbortSignal;
  /** `parts` uploads in parts even what fits in one request, where the store knows parts; for the probe. */
  readonly transfer?: 'as-needed' | 'parts';
  /** Called with the bytes that the store has acknowledged so far. */
  readonly onProgress?: (acknowledgedBytes: number) => void;
}

export interface ReadOptions {
  /** First byte, from 0. */
  readonly offset?: number;
  /** How many bytes; to the end where absent. */
  readonly lengthBytes?: number;
  readonly signal?: AbortSignal;
}

/**
 * The one interface to a place where objects lie. Objects are created once and never changed.
 *
 * Every method throws `AppError`: `unavailable` (retry), `refused` with code `StoreDenied` (a
 * permission is missing, named), `refused` with code `ObjectMissing` (`read` of an absent key),
 * `corrupt` (the store answered with other bytes than it promised).
 */
export interface ObjectStore {
  readonly id: string;
  readonly kind: 'directory' | 's3' | 'gcs';
  /** For people: `s3://bucket/prefix`, `gs://bucket/prefix` or a folder. Holds no secret. */
  readonly location: string;

  /**
   * Creates an object with the precondition that none exists under the key. Visible whole or not
   * at all: a crash in the middle leaves nothing under the key. Streams; memory is bounded. A chunk is
   * looked at until the next one is asked for.
   */
  create(key: string, body: AsyncIterable<Uint8Array>, options?: CreateOptions): Promise<CreateOutcome>;

  /** Streams an object, or a range of it. Ending early closes the request. */
  read(key: string, options?: ReadOptions): AsyncIterable<Uint8Array>;

  /** Facts on an object; undefined where there is none. */
  head(key: string, options?: { readonly signal?: AbortSignal }): Promise<ObjectInfo | undefined>;

  /** Keys that start with the prefix. A listing error throws; it is never taken for empty. */
  list(prefix: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<ListedObject>;

  /** Closes sockets. */
  close(): Promise<void>;
}
