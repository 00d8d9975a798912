/**
 * Plaintext per zstd frame. Input chunks of this size are compressed without a copy. Frames of 4 MiB
 * would make objects 0.4 % smaller and take twice the memory; frames of 1 MiB 0.5 % larger.
 */
export const BLOCK_BYTES = 2 * 1024 * 1024;

/** No independent frame holds more plaintext; a reader holds such a frame whole. */
export const MAX_BLOCK_BYTES = 8 * 1024 * 1024;

/** Windows beyond 128 MiB need memory that a reader does not grant (zstd's own default limit). */
export const MAX_WINDOW_LOG = 27;

/**
 * Blocks under way at once, one less than libuv's pool has threads, for files are read there, too. A
 * fourth made nothing faster on two cores, and took 40 MB more.
 */
export const BLOCKS_IN_FLIGHT = 3;

/** The most bytes that zstd makes of `bytes` (zstd: `ZSTD_COMPRESSBOUND`), and some for the head. */
export function compressBound(bytes: number): number {
  return bytes + (bytes >> 8) + 1024;
}
