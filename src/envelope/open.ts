import { freeNow, leaveAlone } from '../process/lent-memory.ts';
import type { SealContext } from './context.ts';
import { RunningSha256 } from './digest.ts';
import { corruptSeal } from './envelope-errors.ts';
import type { EnvelopeKey } from './keys.ts';
import { decryptMessage } from './message.ts';
import { decompress } from './zstd-decompress.ts';

export interface OpenOptions {
  readonly key: EnvelopeKey;
  /** Must equal what was sealed. Its plaintext digest, where not null, is checked at the end. */
  readonly context: SealContext;
  /** Where more comes out, it is a bomb: corrupt `PlaintextTooLong`. */
  readonly maxPlaintextBytes?: number;
  /** The exact length, where it is known. */
  readonly plaintextBytes?: number;
  readonly signal?: AbortSignal;
}

/**
 * Opens a sealed stream: decrypts, decompresses, checks. Each byte that comes out was authenticated;
 * length and digest of the whole are known to be right only when the stream ends without an error.
 * Memory is bounded to some tens of MiB. Ending early closes the input.
 *
 * @throws refused `WrongKey`; corrupt `WrongContext`, `NotSealed`, `SealBroken`, `SealTruncated`,
 *   `SealTrailing`, `PlaintextTooLong`, `PlaintextTooShort`, `PlaintextDiffers`; what the input throws
 */
export async function* open(
  input: AsyncIterable<Uint8Array>,
  options: OpenOptions,
): AsyncGenerator<Uint8Array> {
  const { key, context, signal } = options;
  const maxBytes = Math.min(
    options.maxPlaintextBytes ?? Number.MAX_SAFE_INTEGER,
    options.plaintextBytes ?? Number.MAX_SAFE_INTEGER,
  );
  let sealedDigest: string | null = null;
  const compressed =
    key.kind === 'none'
      ? input
      : decryptMessage(input, key, context, (digest) => {
          sealedDigest = digest;
        });
  const digest = new RunningSha256();
  for await (const chunk of decompress(compressed, maxBytes, key.kind === 'none' ? leaveAlone : freeNow)) {
    signal?.throwIfAborted();
    digest.update(chunk);
    yield chunk;
  }
  checkWhole(digest, options.plaintextBytes ?? null, context.plaintextSha256 ?? sealedDigest);
}

function checkWhole(found: RunningSha256, lengthBytes: number | null, sha256: string | null): void {
  // Longer was refused on the way.
  if (lengthBytes !== null && found.lengthBytes !== lengthBytes) {
    throw corruptSeal(
      'PlaintextTooShort',
      `its plaintext has ${found.lengthBytes} bytes where ${lengthBytes} were sealed`,
    );
  }
  const digest = found.finish();
  if (sha256 !== null && digest !== sha256) {
    throw corruptSeal('PlaintextDiffers', `its plaintext has the SHA-256 ${digest}, not ${sha256}`);
  }
}
