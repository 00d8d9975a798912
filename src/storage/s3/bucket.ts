import type { S3Client } from '@aws-sdk/client-s3';

/** An upload in parts that was begun and not completed. */
export interface BegunUpload {
  /** With the prefix of the store. */
  readonly objectKey: string;
  readonly uploadId: string;
}

/** One bucket, as the parts of the S3 store share it. */
export interface Bucket {
  readonly client: S3Client;
  readonly name: string;
  /** For people. */
  readonly location: string;
  /** Longest silence on a socket. */
  readonly idleMs: number;
  /** Uploads of this process that could not be aborted because the store was away, by their ids. */
  readonly leftBehind: Map<string, BegunUpload>;
}

/** Request options that carry a signal, where there is one. */
export function withSignal(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
