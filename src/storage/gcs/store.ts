import { checkKey, checkPrefix } from '../keys.ts';
import { checkMetadata } from '../metadata.ts';
import type {
  CreateOptions,
  CreateOutcome,
  ListedObject,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
} from '../object-store.ts';
import { objectMissing, requestedRange } from '../refusals.ts';
import type { Bucket } from './bucket.ts';
import { type GcsStoreConfig, openBucket } from './client.ts';
import { download } from './download.ts';
import { listPage, readInfo } from './inquire.ts';
import { upload } from './upload.ts';

/** Opens a store in a bucket of Google Cloud Storage. No request is sent yet. */
export function openGcsStore(config: GcsStoreConfig): ObjectStore {
  return new GcsStore(config);
}

interface SignalOption {
  readonly signal?: AbortSignal;
}

class GcsStore implements ObjectStore {
  readonly kind = 'gcs';
  readonly id: string;
  readonly location: string;
  readonly #bucket: Bucket;
  readonly #prefix: string;

  constructor(config: GcsStoreConfig) {
    this.id = config.id;
    this.#bucket = openBucket(config);
    this.location = this.#bucket.location;
    this.#prefix = config.prefix === '' ? '' : `${config.prefix}/`;
  }

  async create(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: CreateOptions = {},
  ): Promise<CreateOutcome> {
    checkKey(key);
    checkMetadata(options.metadata ?? {});
    return upload(this.#bucket, this.#prefix + key, body, options);
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
    yield* download({ bucket: this.#bucket, key, objectKey, start, end, signal: options.signal });
  }

  async head(key: string, { signal }: SignalOption = {}): Promise<ObjectInfo | undefined> {
    checkKey(key);
    const info = await readInfo(this.#bucket, this.#prefix + key, signal);
    return info === undefined ? undefined : { ...info, key };
  }

  async *list(prefix: string, { signal }: SignalOption = {}): AsyncGenerator<ListedObject> {
    checkPrefix(prefix);
    for (let token: string | null = null; ; ) {
      const page = await listPage(this.#bucket, this.#prefix + prefix, token, signal);
      for (const { key, lengthBytes } of page.objects) {
        if (!key.endsWith('/')) yield { key: key.slice(this.#prefix.length), lengthBytes };
      }
      token = page.nextToken;
      if (token === null) return;
    }
  }

  async close(): Promise<void> {
    this.#bucket.http.close();
  }
}
