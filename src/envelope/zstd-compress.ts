import { constants, createZstdCompress } from 'node:zlib';
import { AppError } from '../domain/errors.ts';
import { mapOrdered } from './ordered.ts';
import { through } from './through.ts';
import { ZstdLane } from './zstd-lane.ts';
import { BLOCK_BYTES, BLOCKS_IN_FLIGHT, MAX_WINDOW_LOG } from './zstd-params.ts';

export interface CompressOptions {
  /** 1 (fast) to 19 (small). */
  readonly level: number;
  /** One frame with long-distance matching over a window of this many bits (18 to 27); independent frames where absent. */
  readonly longWindowLog?: number;
}

/**
 * Compresses a stream with zstd: independent frames of 2 MiB in parallel on libuv's pool, or
 * one frame with a long window. Every frame carries a checksum, and its content size where it is
 * known. An empty stream becomes one empty frame.
 *
 * @throws config `CompressionOutOfRange`
 */
export function compress(input: AsyncIterable<Uint8Array>, options: CompressOptions): AsyncIterable<Buffer> {
  const { level, longWindowLog } = options;
  checkRange('level', level, 1, 19);
  const params = {
    [constants.ZSTD_c_compressionLevel]: level,
    [constants.ZSTD_c_checksumFlag]: 1,
    [constants.ZSTD_c_contentSizeFlag]: 1,
  };
  if (longWindowLog === undefined) return compressBlocks(input, params);
  checkRange('longWindowLog', longWindowLog, 18, MAX_WINDOW_LOG);
  return compressLong(input, {
    ...params,
    [constants.ZSTD_c_enableLongDistanceMatching]: 1,
    [constants.ZSTD_c_windowLog]: longWindowLog,
  });
}

async function* compressLong(
  input: AsyncIterable<Uint8Array>,
  params: Readonly<Record<number, number>>,
): AsyncGenerator<Buffer> {
  const compressor = createZstdCompress({ params: { ...params }, chunkSize: 1024 * 1024 });
  try {
    yield* through(input, compressor, (error) => error);
  } finally {
    compressor.destroy();
  }
}

async function* compressBlocks(
  input: AsyncIterable<Uint8Array>,
  params: Readonly<Record<number, number>>,
): AsyncGenerator<Buffer> {
  const lanes = Array.from({ length: BLOCKS_IN_FLIGHT }, () => new ZstdLane(params));
  const idle = [...lanes];
  const compressBlock = async (block: Uint8Array): Promise<readonly Buffer[]> => {
    const lane = idle.pop();
    // `mapOrdered` runs no more blocks at a time than there are lanes.
    if (lane === undefined) throw new Error('every zstd lane is busy');
    const pieces = await lane.compress(block);
    idle.push(lane);
    return pieces;
  };
  try {
    for await (const pieces of mapOrdered(blocks(input), BLOCKS_IN_FLIGHT, compressBlock)) yield* pieces;
  } finally {
    for (const lane of lanes) lane.close();
  }
}

/** Cuts the input into blocks of `BLOCK_BYTES`; the last is smaller. A chunk of exactly that passes without a copy. */
async function* blocks(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gathering = new GatheredBlock();
  let empty = true;
  for await (const chunk of input) {
    if (gathering.lengthBytes === 0 && chunk.length === BLOCK_BYTES) {
      yield chunk;
      empty = false;
      continue;
    }
    for (let rest = chunk; rest.length > 0; ) {
      rest = gathering.add(rest);
      if (gathering.lengthBytes < BLOCK_BYTES) continue;
      yield gathering.take();
      empty = false;
    }
  }
  if (gathering.lengthBytes > 0 || empty) yield gathering.take();
}

/**
 * One block after the other, in memory that takes turns: `mapOrdered` asks for the next block only
 * when fewer than `BLOCKS_IN_FLIGHT` before it are under way.
 */
class GatheredBlock {
  readonly #memory: Buffer[] = [];
  #turn = 0;
  #lengthBytes = 0;

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** Takes what fits; returns the rest. */
  add(chunk: Uint8Array): Uint8Array {
    const piece = chunk.subarray(0, BLOCK_BYTES - this.#lengthBytes);
    this.#current().set(piece, this.#lengthBytes);
    this.#lengthBytes += piece.length;
    return chunk.subarray(piece.length);
  }

  take(): Buffer {
    const block = this.#current().subarray(0, this.#lengthBytes);
    this.#turn = (this.#turn + 1) % BLOCKS_IN_FLIGHT;
    this.#lengthBytes = 0;
    return block;
  }

  #current(): Buffer {
    const memory = this.#memory[this.#turn] ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#memory[this.#turn] = memory;
    return memory;
  }
}

function checkRange(what: 'level' | 'longWindowLog', value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new AppError({
    code: 'CompressionOutOfRange',
    kind: 'config',
    message: `The compression ${what} ${value} is not a whole number from ${least} to ${most}: nothing was sealed.`,
    hint: 'Level 3 is the default.',
    facts: { what, value, least, most },
  });
}
