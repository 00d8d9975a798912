import { readFile } from 'node:fs/promises';
import { AppError, assertNever } from '../domain/errors.ts';
import type { RepositoryId } from '../domain/identity.ts';
import type { SegmentFacts, StoredObject } from '../domain/segment.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import { isCode, writeWhole } from '../process/files.ts';

/** Version of the facts file; another version is thrown away and the log sealed again. */
const FACTS_FORMAT = 3;

/** What one pass over a log found and made. Lies beside the sealed file; both stay until every store has the log. */
export interface SealedSegment {
  readonly segment: SegmentFacts;
  /** Where the sealed file goes in every store, and what it is. */
  readonly object: StoredObject;
  /** Repository for which it was sealed; it opens in no other. */
  readonly repositoryId: string;
  /** Id of the key that sealed it; `none` where nothing was encrypted. */
  readonly sealedWith: string;
}

/** What a sealed file must have been made for, to be stored as it is. */
export interface SealPurpose {
  readonly repositoryId: RepositoryId;
  readonly key: EnvelopeKey;
}

/** Names what a key seals with, as the facts keep it. */
export function sealerOf(key: EnvelopeKey): string {
  switch (key.kind) {
    case 'none':
      return 'none';
    case 'raw-aes':
      return key.keyId;
    default:
      return assertNever(key);
  }
}

/**
 * True where a sealed file may go out as it is. The configuration may have changed since it was
 * sealed: what was made without encryption, or with another key, is not what it asks for now.
 */
export function isSealedFor(sealed: SealedSegment, { repositoryId, key }: SealPurpose): boolean {
  return sealed.repositoryId === repositoryId && sealed.sealedWith === sealerOf(key);
}

/** Writes the facts whole or not at all: their presence says that the sealed file is complete and was opened. */
export async function writeFacts(path: string, sealed: SealedSegment): Promise<void> {
  const text = `${JSON.stringify({ format: FACTS_FORMAT, ...sealed })}\n`;
  await writeWhole(path, (file) => file.writeFile(text));
}

/** Reads the facts; undefined where the log was not sealed yet, or sealed by another version of this code. */
export async function readFacts(path: string): Promise<SealedSegment | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  // Trusted without a schema: only `writeFacts` makes this file, whole, in a folder of our own with mode 0700.
  const { format, ...sealed } = JSON.parse(text) as SealedSegment & { format: number };
  return format === FACTS_FORMAT ? sealed : undefined;
}

/**
 * Reads the facts of a log that must have been sealed as the configuration wants it now.
 * @throws unavailable `SpoolLost`, `SealedOtherwise`; the next round seals the log anew
 */
export async function requireFacts(path: string, purpose: SealPurpose): Promise<SealedSegment> {
  const facts = await readFacts(path);
  if (facts === undefined) throw spoolLost(path);
  if (!isSealedFor(facts, purpose)) throw sealedOtherwise(facts);
  return facts;
}

function spoolLost(path: string): AppError {
  return new AppError({
    code: 'SpoolLost',
    kind: 'unavailable',
    message: `${path} is gone: someone removed files from the staging folder, so the log is sealed again.`,
    facts: { path },
  });
}

function sealedOtherwise({ segment, sealedWith }: SealedSegment): AppError {
  const how = sealedWith === 'none' ? 'without encryption' : `with key ${sealedWith}`;
  return new AppError({
    code: 'SealedOtherwise',
    kind: 'unavailable',
    message: `${segment.binlog} was sealed ${how} or for another repository, and the configuration has changed since: it is not archived like that, but sealed again.`,
    facts: { binlog: segment.binlog, sealedWith },
  });
}
