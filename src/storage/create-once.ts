import { AppError, assertNever } from '../domain/errors.ts';
import type { Sha256 } from '../domain/identity.ts';
import type { SealContext } from '../envelope/context.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import type { CreateOptions, ObjectStore } from './object-store.ts';
import { type ExpectedPlaintext, type FoundObject, readSealed, readStored } from './read-back.ts';
import { otherContent } from './refusals.ts';

/** What counts as the same content where an object stands already. */
export type ExpectedContent =
  | { readonly kind: 'bytes'; readonly sha256: Sha256 }
  /** Sealing the same plaintext twice gives other bytes, so what is inside is compared. */
  | {
      readonly kind: 'sealed';
      readonly key: EnvelopeKey;
      readonly context: SealContext;
      readonly plaintext: ExpectedPlaintext;
    };

export interface CreatedOnce extends FoundObject {
  /** `same`: the object stood there already, with the same content. */
  readonly status: 'created' | 'same';
}

/**
 * Creates an object, or proves that the one under its key holds the same content. So a step may be
 * run twice: after a crash between storing and recording, the second run finds its own object.
 *
 * `body` is called once. Returns the bytes as they lie in the store.
 *
 * @throws conflict `OtherContent`; refused, unavailable, and what the body throws
 */
export async function createOrCompare(
  store: ObjectStore,
  key: string,
  body: () => AsyncIterable<Uint8Array>,
  expect: ExpectedContent,
  options: CreateOptions = {},
): Promise<CreatedOnce> {
  const outcome = await store.create(key, body(), options);
  switch (outcome.status) {
    case 'created':
      return outcome;
    case 'exists':
      return { status: 'same', ...(await compared(store, key, expect, options)) };
    default:
      return assertNever(outcome);
  }
}

async function compared(
  store: ObjectStore,
  key: string,
  expect: ExpectedContent,
  options: CreateOptions,
): Promise<FoundObject> {
  const reading = options.signal === undefined ? {} : { signal: options.signal };
  if (expect.kind === 'bytes') {
    const found = await readStored(store, key, reading);
    if (found.sha256 === expect.sha256) return found;
    throw otherContent(store.location, key, found.sha256, expect.sha256);
  }
  try {
    return await readSealed(store, key, expect.key, expect.context, expect.plaintext, reading);
  } catch (error) {
    // Not this content, or not readable as such: either way it is not ours to call success.
    const other = error instanceof AppError && (error.kind === 'corrupt' || error.code === 'WrongKey');
    if (!other) throw error;
    throw sealedElsewhere(store.location, key, expect.plaintext, error);
  }
}

function sealedElsewhere(
  location: string,
  key: string,
  plaintext: ExpectedPlaintext,
  cause: AppError,
): AppError {
  return new AppError({
    code: 'OtherContent',
    kind: 'conflict',
    message: `${location} holds another object under ${key} than the one to be stored: ${cause.message} Nothing was overwritten.`,
    hint: 'Find out who wrote it. To go on, give this archive another prefix.',
    facts: { location, key, plaintextSha256: plaintext.plaintextSha256, found: cause.code },
    cause,
  });
}
