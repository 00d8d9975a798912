import type { AppError } from '../domain/errors.ts';
import type { LentMemory } from '../process/lent-memory.ts';
import type { ByteReader } from './byte-reader.ts';
import { corruptSeal } from './envelope-errors.ts';
import { BLOCK_BYTES, compressBound, MAX_BLOCK_BYTES, MAX_WINDOW_LOG } from './zstd-params.ts';

// Source: RFC 8878, Zstandard frame format.
const MAGIC = 0xfd2fb528;
/** No block of a frame is longer, whatever the window. */
const BLOCK_MAXIMUM_BYTES = 128 * 1024;
const CHECKSUM_BYTES = 4;

/** The head of one frame: magic number, descriptor, window, content size. */
export interface FrameHead {
  readonly bytes: Buffer;
  /** Null where the writer did not know it. */
  readonly contentBytes: number | null;
}

/**
 * Reads the head of the next frame. Frames without a checksum, with a dictionary, or with a window
 * over 128 MiB are refused: this program writes none.
 *
 * @throws corrupt `NotSealed`, `SealTruncated`
 */
export async function readFrameHead(reader: ByteReader): Promise<FrameHead> {
  const offset = reader.consumed;
  // Copies, for the reader may free a chunk when it comes to the next.
  const start = Buffer.from(await wanted(reader, 5));
  const descriptor = start.readUInt8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const withoutChecksum = (descriptor & 0x04) === 0;
  const reservedOrDictionary = (descriptor & 0x0b) !== 0;
  if (start.readUInt32LE() !== MAGIC || withoutChecksum || reservedOrDictionary) {
    throw corruptSeal('NotSealed', `no zstd frame with a checksum begins at plaintext offset ${offset}`);
  }
  const window = Buffer.from(await wanted(reader, singleSegment ? 0 : 1));
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 2 ** sizeFlag;
  const size = Buffer.from(await wanted(reader, sizeBytes));
  if (!singleSegment && 10 + (window.readUInt8() >> 3) > MAX_WINDOW_LOG) {
    throw corruptSeal('NotSealed', `a zstd frame wants a window over ${2 ** MAX_WINDOW_LOG} bytes`);
  }
  return { bytes: Buffer.concat([start, window, size]), contentBytes: contentSize(size) };
}

function contentSize(field: Buffer): number | null {
  switch (field.length) {
    case 0:
      return null;
    case 1:
      return field.readUInt8();
    case 2:
      return field.readUInt16LE() + 256;
    case 4:
      return field.readUInt32LE();
    default:
      // Beyond 2^53 the value is inexact, and refused by every bound.
      return Number(field.readBigUInt64LE());
  }
}

/** Yields the rest of a frame after its head, its checksum included, in pieces as they come. @throws corrupt */
export async function* readFrameBody(reader: ByteReader): AsyncGenerator<Uint8Array> {
  for (let last = false; !last; ) {
    const header = await wanted(reader, 3);
    const value = header.readUIntLE(0, 3);
    last = (value & 1) === 1;
    const type = (value >> 1) & 3;
    const size = value >> 3;
    if (type === 3 || size > BLOCK_MAXIMUM_BYTES) {
      throw corruptSeal('SealBroken', `a zstd block before offset ${reader.consumed} is malformed`);
    }
    yield header;
    // A run-length block holds one byte, whatever it expands to.
    const stored = type === 1 ? 1 : size;
    for (let missing = stored; missing > 0; ) {
      const piece = await reader.atMost(missing);
      if (piece === undefined) throw truncated(reader);
      missing -= piece.length;
      yield piece;
    }
  }
  yield await wanted(reader, CHECKSUM_BYTES);
}

/** True where a frame is small enough to be held whole. */
export function isBlockFrame(head: FrameHead): head is FrameHead & { contentBytes: number } {
  return head.contentBytes !== null && head.contentBytes <= MAX_BLOCK_BYTES;
}

/**
 * Gathers one small frame in a block of the lent memory.
 * @throws corrupt where it is longer than its content can make it
 */
export async function gatherFrame(
  reader: ByteReader,
  head: FrameHead & { contentBytes: number },
  memory: LentMemory,
): Promise<Buffer> {
  const most = compressBound(head.contentBytes);
  // Frames of full blocks, which are nearly all, are then gathered in the same few pieces of memory.
  const frame = memory.take(Math.max(most, compressBound(BLOCK_BYTES)));
  let bytes = head.bytes.copy(frame);
  for await (const piece of readFrameBody(reader)) {
    if (bytes + piece.length > most) {
      throw corruptSeal(
        'SealBroken',
        `a zstd frame of ${head.contentBytes} bytes takes more when compressed`,
      );
    }
    frame.set(piece, bytes);
    bytes += piece.length;
  }
  return frame.subarray(0, bytes);
}

async function wanted(reader: ByteReader, count: number): Promise<Buffer> {
  const bytes = await reader.exactly(count);
  if (bytes !== undefined) return bytes;
  throw truncated(reader);
}

function truncated(reader: ByteReader): AppError {
  return corruptSeal('SealTruncated', `its compressed stream ends after ${reader.consumed} bytes`);
}
