import { AppError } from '../domain/errors.ts';

/** What of a sealed object is broken; the code of its error. */
export type SealFault =
  /** A byte differs, or bytes are missing inside: authentication fails. */
  | 'SealBroken'
  /** The object ends before its last frame. */
  | 'SealTruncated'
  /** Bytes follow the end of the message. */
  | 'SealTrailing'
  /** The bytes are no sealed object of this format. */
  | 'NotSealed'
  | 'PlaintextTooLong'
  | 'PlaintextTooShort'
  | 'PlaintextDiffers';

/** An error about a sealed object whose bytes are not what was sealed. `detail` says what was found where. */
export function corruptSeal(code: SealFault, detail: string, cause?: unknown): AppError {
  return new AppError({
    code,
    kind: 'corrupt',
    message: `The sealed object cannot be used: ${detail}.`,
    hint: 'Read it again; if it stays so, the object is damaged in this store. Use another store that holds it.',
    facts: { detail },
    ...(cause === undefined ? {} : { cause }),
  });
}
