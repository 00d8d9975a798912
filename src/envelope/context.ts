import type { EncryptionContext } from '@aws-crypto/material-management-node';
import { AppError } from '../domain/errors.ts';
import type { RepositoryId, Sha256 } from '../domain/identity.ts';

/** What a sealed object is, bound to it by authentication: an object moved to another place does not open. */
export interface SealContext {
  readonly repositoryId: RepositoryId;
  readonly kind: 'segment' | 'backup';
  /** Name of the binlog, or of the engine's stream. */
  readonly name: string;
  /** `server_uuid` of the origin, or the backup id. */
  readonly owner: string;
  /** Known before sealing only where the plaintext was read once already. */
  readonly plaintextSha256: Sha256 | null;
}

const PLAINTEXT_SHA256 = 'pitrail:plaintext-sha256';

/** The context as the authenticated pairs in the head of a message. */
export function toEncryptionContext(context: SealContext): EncryptionContext {
  const pairs: EncryptionContext = {
    'pitrail:format': '1',
    'pitrail:repository': context.repositoryId,
    'pitrail:kind': context.kind,
    'pitrail:name': context.name,
    'pitrail:owner': context.owner,
  };
  if (context.plaintextSha256 !== null) pairs[PLAINTEXT_SHA256] = context.plaintextSha256;
  return pairs;
}

/**
 * Compares the pairs in the head of a message with what the reader expects, both ways. The digest
 * of the plaintext may be in one of the two only: it is compared with the plaintext itself then.
 *
 * Returns corrupt `WrongContext` naming the pair, or undefined where all agree.
 */
export function contextMismatch(
  found: Readonly<EncryptionContext>,
  expected: SealContext,
): AppError | undefined {
  const wanted = toEncryptionContext(expected);
  for (const name of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    if (found[name] === wanted[name]) continue;
    if (name === PLAINTEXT_SHA256 && (found[name] === undefined || wanted[name] === undefined)) continue;
    return wrongContext(name, found[name], wanted[name]);
  }
  return undefined;
}

/** The digest of the plaintext that a message names in its head; null where it names none. */
export function plaintextDigestIn(found: Readonly<EncryptionContext>): string | null {
  return found[PLAINTEXT_SHA256] ?? null;
}

function wrongContext(pair: string, found: string | undefined, wanted: string | undefined): AppError {
  const shown = (value: string | undefined): string => JSON.stringify(value?.slice(0, 120) ?? null);
  return new AppError({
    code: 'WrongContext',
    kind: 'corrupt',
    message: `The sealed object says ${pair} = ${shown(found)} where ${shown(wanted)} is expected: it is another object than the catalog names, and nothing of it is used.`,
    hint: 'Somebody moved or replaced the object in the store. Compare it with another store, and restore it from there.',
    facts: { pair, found: found?.slice(0, 120) ?? null, wanted: wanted ?? null },
  });
}
