import { HeadObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
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
import { objectMissing, requestedRange, storeUnreachable } from '../refusals.ts';
import { type Bucket, crcFromBase64, withSignal } from './bucket.ts';
import { buildS3Client, DEFAULT_TIMEOUTS, type S3StoreConfig, s3Location } from './client.ts';
import { download } from './download.ts';
import { s3Error, s3Failure } from './errors.ts';
import { upload } from './upload.ts';

/** Opens a store in an S3 bucket, at AWS or any server that speaks S3. No request is sent yet. */
export function openS3Store(config: S3StoreConfig): ObjectStore {
  return new S3Store(config);
}

interface SignalOption {
  readonly signal?: AbortSignal;
}

class S3Store implements ObjectStore {
  readonly kind = 's3';
  readonly id: string;
  readonly location: string;
  readonly #bucket: Bucket;
  readonly #prefix: string;

  constructor(config: S3StoreConfig) {
    this.id = config.id;
    this.location = s3Location(config);
    this.#prefix = config.prefix === undefined || config.prefix === '' ? '' : `${config.prefix}/`;
    this.#bucket = {
      client: buildS3Client(config),
      name: config.bucket,
      location: this.location,
      idleMs: (config.timeouts ?? DEFAULT_TIMEOUTS).idleMs,
    };
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
    const command = new HeadObjectCommand({
      Bucket: this.#bucket.name,
      Key: this.#prefix + key,
      ChecksumMode: 'ENABLED',
    });
    try {
      const answer = await this.#bucket.client.send(command, withSignal(signal));
      const { ChecksumType, ChecksumCRC32 } = answer;
      const whole = ChecksumType !== 'COMPOSITE' && ChecksumCRC32 !== undefined;
      return {
        key,
        lengthBytes: answer.ContentLength ?? 0,
        metadata: answer.Metadata ?? {},
        checksum: whole ? { kind: 'crc32', hex: crcFromBase64(ChecksumCRC32) } : null,
      };
    } catch (error) {
      // An answer to HEAD has no body: a bucket that is missing looks like a missing object here.
      const { code, status } = s3Failure(error);
      if (status === 404 && code !== 'NoSuchBucket') return undefined;
      throw s3Error(this.location, 's3:GetObject', error, signal);
    }
  }

  async *list(prefix: string, { signal }: SignalOption = {}): AsyncGenerator<ListedObject> {
    checkPrefix(prefix);
    for (let token: string | undefined, more = true; more; ) {
      const command = new ListObjectsV2Command({
        Bucket: this.#bucket.name,
        Prefix: this.#prefix + prefix,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      });
      const page = await this.#page(command, signal);
      for (const { Key, Size } of page.Contents ?? []) {
        if (Key === undefined || Key.endsWith('/')) continue;
        yield { key: Key.slice(this.#prefix.length), lengthBytes: Size ?? 0 };
      }
      token = page.NextContinuationToken;
      more = page.IsTruncated === true;
      if (more && token === undefined) throw storeUnreachable(this.location, 'it cut a listing short');
    }
  }

  async close(): Promise<void> {
    this.#bucket.client.destroy();
  }

  async #page(command: ListObjectsV2Command, signal: AbortSignal | undefined) {
    try {
      return await this.#bucket.client.send(command, withSignal(signal));
    } catch (error) {
      throw s3Error(this.location, 's3:ListBucket', error, signal);
    }
  }
}
