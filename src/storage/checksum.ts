import { assertNever } from '../domain/errors.ts';
import { RunningCrc32 } from '../envelope/digest.ts';

/** A checksum of a whole object, kept by its store. */
export interface Checksum {
  /** `crc32` has zlib's polynomial, `crc32c` Castagnoli's. */
  readonly kind: 'crc32' | 'crc32c';
  /** 8 hexadecimal digits. */
  readonly hex: string;
}

/** A checksum of bytes that pass by. */
export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  /** 8 hexadecimal digits. */
  finish(): string;
}

/** The library that computes a CRC-32C is loaded by the first that needs it. */
export async function runningChecksum(kind: Checksum['kind']): Promise<RunningChecksum> {
  switch (kind) {
    case 'crc32':
      return new RunningCrc32();
    case 'crc32c': {
      const { RunningCrc32c } = await import('./crc32c.ts');
      return new RunningCrc32c();
    }
    default:
      return assertNever(kind);
  }
}

/** Object stores write a CRC as base64 of its four bytes; here it is 8 hexadecimal digits. */
export function crcToBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

export function crcFromBase64(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}
