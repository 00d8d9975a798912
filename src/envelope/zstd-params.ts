/**
 * Plaintext per zstd frame. Input chunks of this size are compressed without a copy; larger windows
 * gain little at level 3, whose window is 2 MiB.
 */
export const BLOCK_BYTES = 4 * 1024 * 1024;

/** No independent frame holds more plaintext; a reader holds such a frame whole. */
export const MAX_BLOCK_BYTES = 2 * BLOCK_BYTES;

/** Windows beyond 128 MiB need memory that a reader does not grant (zstd's own default limit). */
export const MAX_WINDOW_LOG = 27;

/** The most bytes that zstd makes of `bytes` (zstd: `ZSTD_COMPRESSBOUND`), and some for the head. */
export function compressBound(bytes: number): number {
  return bytes + (bytes >> 8) + 1024;
}
