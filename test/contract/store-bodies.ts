import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { parseSha256, type Sha256 } from '../../src/domain/identity.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';

export async function* bodyOf(bytes: Uint8Array, chunkBytes = 256 * 1024): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    yield bytes.subarray(offset, offset + chunkBytes);
  }
}

export async function gather(input: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of input) pieces.push(piece);
  return Buffer.concat(pieces);
}

export async function keysUnder(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

export function sha256(bytes: Uint8Array): Sha256 {
  return parseSha256(createHash('sha256').update(bytes).digest('hex'));
}

export function crcOf(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, '0');
}

/** CRC-32C bit by bit, as RFC 3720 defines it: slow, and independent of any table or library. */
export function crc32cOf(bytes: Uint8Array): string {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, '0');
}
