import { checkKey, checkPrefix } from './keys.ts';
import { checkMetadata } from './metadata.ts';
import type {
  CreateOptions,
  CreateOutcome,
  ListedObject,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
} from './object-store.ts';
import { objectMissing, requestedRange } from './refusals.ts';

/** Bytes of an object that are asked for. */
export interface ObjectRange {
  /** As the caller of the store knows it. */
  readonly key: string;
  /** With the prefix of the store. */
  readonly objectKey: string;
  /** From `start` to before `end`; Infinity for all. */
  readonly start: number;
  readonly end: number;
  readonly signal: AbortSignal | undefined;
}

/** What a bucket of some provider answers; keys are those in the bucket, with the prefix of the store. */
export interface BucketRequests {
  readonly kind: ObjectStore['kind'];
  /** For people. */
  readonly location: string;
  /** Creates an object where none is. @throws as `ObjectStore.create` */
  upload(objectKey: string, body: AsyncIterable<Uint8Array>, options: CreateOptions): Promise<CreateOutcome>;
  /** @throws as `ObjectStore.read` */
  download(range: ObjectRange): AsyncIterable<Uint8Array>;
  /** Undefined where there is none. @throws as `ObjectStore.head` */
  info(objectKey: string, signal: AbortSignal | undefined): Promise<Omit<ObjectInfo, 'key'> | undefined>;
  /** @throws as `ObjectStore.list` */
  list(prefix: string, signal: AbortSignal | undefined): AsyncIterable<ListedObject>;
  close(): void;
}

interface SignalOption {
  readonly signal?: AbortSignal;
}

/** A store under a prefix of a bucket; an empty prefix is the bucket itself. */
export class BucketStore implements ObjectStore {
  readonly id: string;
  readonly kind: ObjectStore['kind'];
  readonly location: string;
  readonly #bucket: BucketRequests;
  readonly #prefix: string;

  constructor(id: string, prefix: string, bucket: BucketRequests) {
    this.id = id;
    this.kind = bucket.kind;
    this.location = bucket.location;
    this.#bucket = bucket;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
  }

  async create(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: CreateOptions = {},
  ): Promise<CreateOutcome> {
    checkKey(key);
    checkMetadata(options.metadata ?? {});
    return this.#bucket.upload(this.#prefix + key, body, options);
  }

  async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    checkKey(key);
    const { start, end } = requestedRange(options);
    if (start === end) {
      // HTTP has no empty range; whether the object is there is still asked.
      if ((await this.head(key, options)) === undefined) throw objectMissing(this.location, key);
      return;
    }
    const objectKey = this.#prefix + key;
    yield* this.#bucket.download({ key, objectKey, start, end, signal: options.signal });
  }

  async head(key: string, { signal }: SignalOption = {}): Promise<ObjectInfo | undefined> {
    checkKey(key);
    const info = await this.#bucket.info(this.#prefix + key, signal);
    return info === undefined ? undefined : { ...info, key };
  }

  async *list(prefix: string, { signal }: SignalOption = {}): AsyncGenerator<ListedObject> {
    checkPrefix(prefix);
    for await (const { key, lengthBytes } of this.#bucket.list(this.#prefix + prefix, signal)) {
      // Folders that some tools put there.
      if (!key.endsWith('/')) yield { key: key.slice(this.#prefix.length), lengthBytes };
    }
  }

  async close(): Promise<void> {
    this.#bucket.close();
  }
}
