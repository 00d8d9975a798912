import { AppError } from '../domain/errors.ts';
import type { Sha256 } from '../domain/identity.ts';
import { freeNow, leaveAlone } from '../process/lent-memory.ts';
import type { SealContext } from './context.ts';
import { RunningCrc32, RunningSha256 } from './digest.ts';
import { corruptSeal } from './envelope-errors.ts';
import type { EnvelopeKey } from './keys.ts';
import { encryptMessage } from './message.ts';
import { compress } from './zstd-compress.ts';

export interface SealOptions {
  readonly key: EnvelopeKey;
  readonly context: SealContext;
  /** zstd level, 1 to 19. */
  readonly level: number;
  /** Bits of a long window, 18 to 27: one frame that finds matches far back, not in parallel. */
  readonly longWindowLog?: number;
  readonly signal?: AbortSignal;
  /** Sees each chunk of the plaintext on its way; what it throws ends the sealing. */
  readonly onPlaintext?: (chunk: Uint8Array) => void;
}

export interface SealResult {
  readonly plaintextBytes: number;
  readonly plaintextSha256: Sha256;
  readonly storedBytes: number;
  readonly storedSha256: Sha256;
  /** CRC-32 (zlib's polynomial), 8 hexadecimal digits. */
  readonly storedCrc32: string;
}

export interface Sealed {
  /** To be consumed once, to its end. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves when `output` was consumed; rejects with what `output` threw, or where it was abandoned. */
  readonly result: Promise<SealResult>;
}

/** Smaller pieces of a sealed message are its headers and tags. */
const CIPHERTEXT_BYTES = 64 * 1024;

/**
 * Frees a chunk of what was sealed with the key, once nobody looks at it any more: a frame of ciphertext was
 * made for its reader alone. Other chunks share memory, and are left to the collector.
 */
export function freeSealed(key: EnvelopeKey): (chunk: Uint8Array) => void {
  if (key.kind === 'none') return leaveAlone;
  return (chunk) => {
    if (chunk.length >= CIPHERTEXT_BYTES) freeNow(chunk);
  };
}

/**
 * Seals a stream in one pass: SHA-256 of the plaintext, zstd, encryption, SHA-256 and CRC-32 of
 * what is stored. Nothing happens before `output` is read; memory is bounded to some tens of MiB.
 *
 * Chunks of `BLOCK_BYTES` are sealed without a copy: the input may use a chunk's memory again once
 * `BLOCKS_IN_FLIGHT` more were asked for.
 *
 * @throws (from `output`) what the input or `onPlaintext` throws, the signal's reason, and corrupt
 *   `PlaintextDiffers` where the context names another digest than the plaintext has
 */
export function seal(input: AsyncIterable<Uint8Array>, options: SealOptions): Sealed {
  const { promise, resolve, reject } = Promise.withResolvers<SealResult>();
  // `output` throws the same error to whoever reads it, so here it must not count as unhandled.
  promise.catch(() => undefined);

  async function* output(): AsyncGenerator<Uint8Array> {
    try {
      resolve(yield* sealed(input, options));
    } catch (error) {
      reject(error);
      throw error;
    } finally {
      // Has no effect on a promise that is settled.
      reject(abandoned());
    }
  }
  return { output: output(), result: promise };
}

async function* sealed(
  input: AsyncIterable<Uint8Array>,
  options: SealOptions,
): AsyncGenerator<Uint8Array, SealResult> {
  const plaintext = new RunningSha256();
  const stored = new RunningSha256();
  const crc32 = new RunningCrc32();
  const compressed = compress(watchPlaintext(input, plaintext, options), options);
  const output =
    options.key.kind === 'none' ? compressed : encryptMessage(compressed, options.key, options.context);
  for await (const chunk of output) {
    options.signal?.throwIfAborted();
    stored.update(chunk);
    crc32.update(chunk);
    yield chunk;
  }
  return {
    plaintextBytes: plaintext.lengthBytes,
    plaintextSha256: checkedDigest(plaintext.finish(), options.context.plaintextSha256),
    storedBytes: stored.lengthBytes,
    storedSha256: stored.finish(),
    storedCrc32: crc32.finish(),
  };
}

async function* watchPlaintext(
  input: AsyncIterable<Uint8Array>,
  digest: RunningSha256,
  options: SealOptions,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of input) {
    options.signal?.throwIfAborted();
    digest.update(chunk);
    options.onPlaintext?.(chunk);
    yield chunk;
  }
}

function checkedDigest(found: Sha256, expected: Sha256 | null): Sha256 {
  if (expected === null || found === expected) return found;
  throw corruptSeal('PlaintextDiffers', `its plaintext has the SHA-256 ${found}, not ${expected}`);
}

function abandoned(): AppError {
  return new AppError({
    code: 'SealAbandoned',
    kind: 'unavailable',
    message: 'Sealing was given up before its end: there is no result.',
  });
}
