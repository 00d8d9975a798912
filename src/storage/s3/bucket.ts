import type { S3Client } from '@aws-sdk/client-s3';

/** One bucket, as the parts of the S3 store share it. */
export interface Bucket {
  readonly client: S3Client;
  readonly name: string;
  /** For people. */
  readonly location: string;
  /** Longest silence on a socket. */
  readonly idleMs: number;
}

/** Request options that carry a signal, where there is one. */
export function withSignal(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
