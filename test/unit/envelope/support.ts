import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRepositoryId, type RepositoryId } from '../../../src/domain/identity.ts';
import type { SealContext } from '../../../src/envelope/context.ts';
import { type EnvelopeKey, generateKeyFile } from '../../../src/envelope/keys.ts';
import { type OpenOptions, open } from '../../../src/envelope/open.ts';
import { type SealOptions, type SealResult, seal } from '../../../src/envelope/seal.ts';

const repositoryId: RepositoryId = parseRepositoryId('0b9c6f0e-3f2e-4a57-9a52-0f6f3d5c7a11');

export const context: SealContext = {
  repositoryId,
  kind: 'segment',
  name: 'binlog.000042',
  owner: '3e11fa47-71ca-11e1-9e33-c80aa9429562',
  plaintextSha256: null,
};

/** A new random key, by way of a key file that is gone afterwards. */
export async function newKey(): Promise<EnvelopeKey> {
  const folder = await mkdtemp(join(tmpdir(), 'pitrail-key-'));
  try {
    return await generateKeyFile(join(folder, 'key'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Bytes that compress, a little, as binlogs do: random words out of a small set. */
export function plaintext(lengthBytes: number): Buffer {
  const words = Array.from({ length: 64 }, () => randomBytes(24));
  const picks = randomBytes(Math.ceil(lengthBytes / 24) + 1);
  const pieces = Array.from(picks, (pick) => words[pick % words.length] ?? Buffer.alloc(24));
  return Buffer.concat(pieces).subarray(0, lengthBytes);
}

export async function* chunks(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    yield bytes.subarray(offset, offset + chunkBytes);
  }
}

export async function gather(input: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of input) pieces.push(piece);
  return Buffer.concat(pieces);
}

export async function sealBytes(
  bytes: Uint8Array,
  options: Partial<SealOptions> & { readonly key: EnvelopeKey },
  chunkBytes = 64 * 1024,
): Promise<{ readonly stored: Buffer; readonly result: SealResult }> {
  const sealed = seal(chunks(bytes, chunkBytes), { context, level: 3, ...options });
  return { stored: await gather(sealed.output), result: await sealed.result };
}

export function openBytes(
  stored: Uint8Array,
  options: Partial<OpenOptions> & { readonly key: EnvelopeKey },
  chunkBytes = 64 * 1024,
): Promise<Buffer> {
  return gather(open(chunks(stored, chunkBytes), { context, ...options }));
}
