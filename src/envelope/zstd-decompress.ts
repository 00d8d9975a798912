import { promisify } from 'node:util';
import { constants, createZstdDecompress, zstdDecompress } from 'node:zlib';
import type { AppError } from '../domain/errors.ts';
import { LentMemory } from '../process/lent-memory.ts';
import { ByteReader } from './byte-reader.ts';
import { corruptSeal } from './envelope-errors.ts';
import { mapOrdered } from './ordered.ts';
import { through } from './through.ts';
import { type FrameHead, gatherFrame, isBlockFrame, readFrameBody, readFrameHead } from './zstd-frames.ts';
import { BLOCKS_IN_FLIGHT, MAX_WINDOW_LOG } from './zstd-params.ts';

/** Node refuses smaller output buffers. */
const LEAST_CHUNK_BYTES = 64;

const decompressOnPool = promisify(zstdDecompress);

interface BlockFrame {
  readonly contentBytes: number;
  /** Lent. */
  readonly bytes: Buffer;
}

/**
 * Decompresses what `compress` wrote: independent frames in parallel, or one frame with a long
 * window as a stream. Node's own decompressor ends silently after the first frame, so frames are
 * walked here; nothing may follow the last.
 *
 * `onRead` gets each chunk of the input that is done with, and may free it.
 *
 * Never yields more than `maxBytes`: a frame that claims more is refused before it is expanded.
 *
 * @throws corrupt `PlaintextTooLong`, `SealTruncated`, `SealBroken`, `SealTrailing`, `NotSealed`
 */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  maxBytes: number,
  onRead: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(input, onRead);
  const memory = new LentMemory();
  try {
    const head = await readFrameHead(reader);
    if (isBlockFrame(head)) {
      const frames = blockFrames(reader, head, memory, maxBytes);
      yield* mapOrdered(frames, BLOCKS_IN_FLIGHT, (frame) => expand(frame, memory));
    } else {
      yield* expandLong(reader, head, maxBytes);
      if (!(await reader.atEnd())) throw corruptSeal('SealTrailing', 'bytes follow its zstd frame');
    }
  } finally {
    await reader.close();
  }
}

async function* blockFrames(
  reader: ByteReader,
  first: FrameHead,
  memory: LentMemory,
  maxBytes: number,
): AsyncGenerator<BlockFrame> {
  let left = maxBytes;
  for (let head: FrameHead | undefined = first; head !== undefined; ) {
    if (!isBlockFrame(head)) {
      throw corruptSeal('SealBroken', 'a zstd frame without a bounded size follows one with it');
    }
    left -= head.contentBytes;
    if (left < 0) throw tooLong(maxBytes);
    yield { contentBytes: head.contentBytes, bytes: await gatherFrame(reader, head, memory) };
    head = (await reader.atEnd()) ? undefined : await readFrameHead(reader);
  }
}

async function expand(frame: BlockFrame, memory: LentMemory): Promise<Buffer> {
  const bytes = Math.max(frame.contentBytes, LEAST_CHUNK_BYTES);
  try {
    // One byte more than comes out: zlib allocates a second buffer as soon as the first is full.
    return await decompressOnPool(frame.bytes, { chunkSize: bytes + 1, maxOutputLength: bytes });
  } catch (error) {
    throw broken(error);
  } finally {
    memory.giveBack(frame.bytes);
  }
}

async function* expandLong(reader: ByteReader, head: FrameHead, maxBytes: number): AsyncGenerator<Buffer> {
  async function* frame(): AsyncGenerator<Buffer> {
    yield head.bytes;
    // The decompressor holds pieces for a while, which the reader's next chunk may free.
    for await (const piece of readFrameBody(reader)) yield Buffer.from(piece);
  }
  const decompressor = createZstdDecompress({
    chunkSize: 1024 * 1024,
    params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
  });
  let left = maxBytes;
  try {
    for await (const chunk of through(frame(), decompressor, broken)) {
      left -= chunk.length;
      if (left < 0) throw tooLong(maxBytes);
      yield chunk;
    }
  } finally {
    decompressor.destroy();
  }
}

function broken(error: unknown): AppError {
  const { code } = error as NodeJS.ErrnoException;
  return corruptSeal('SealBroken', `zstd refuses it (${code})`, error);
}

function tooLong(maxBytes: number): AppError {
  return corruptSeal('PlaintextTooLong', `its plaintext is longer than the ${maxBytes} bytes it may have`);
}
