import { AppError } from '../domain/errors.ts';
import type { StoredObject } from '../domain/segment.ts';
import type { SealContext } from '../envelope/context.ts';
import { RunningSha256 } from '../envelope/digest.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { readSealed } from '../storage/read-back.ts';
import type { BackupContext } from './context.ts';
import type { TarDigest } from './tar-entries.ts';

/** Digest and length of a tar stream that is not stored. */
export async function digestOfTar(tar: AsyncIterable<Uint8Array>): Promise<TarDigest> {
  const digest = new RunningSha256();
  for await (const chunk of tar) digest.update(chunk);
  return { tarBytes: digest.lengthBytes, tarSha256: digest.finish() };
}

export interface AdoptRequest {
  readonly ctx: BackupContext;
  readonly store: ObjectStore;
  readonly key: string;
  readonly context: SealContext;
  readonly tar: TarDigest;
}

/**
 * Takes the object that stands under a backup's key, where it holds this very tar: an earlier try
 * stored it and was killed before it could say so.
 * @throws conflict `BackupConflict` where it holds something else; refused `WrongKey`; unavailable
 */
export async function adoptStored(request: AdoptRequest): Promise<StoredObject> {
  const { ctx, store, key, context, tar } = request;
  const sealingKey = ctx.repositories.key;
  const expect = { plaintextSha256: tar.tarSha256, lengthBytes: tar.tarBytes };
  try {
    const found = await readSealed(store, key, sealingKey, context, expect, { signal: ctx.signal });
    return {
      key,
      ...found,
      compression: 'zstd',
      encryption: sealingKey.kind === 'none' ? 'none' : 'aws-encryption-sdk',
    };
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'corrupt') throw error;
    throw new AppError({
      code: 'BackupConflict',
      kind: 'conflict',
      message: `${store.location} holds another object under ${key}, so this backup was not stored there: ${error.message}`,
      hint: 'Find out who wrote it. Nothing was overwritten; a new backup gets a new key.',
      facts: { key, store: store.id },
      cause: error,
    });
  }
}
