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

/** S3 writes a CRC-32 as base64 of its four bytes; here it is 8 hexadecimal digits. */
export function crcToBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

export function crcFromBase64(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}
