import { readFile } from 'node:fs/promises';
import { AppError } from '../domain/errors.ts';
import type { SegmentFacts, StoredObject } from '../domain/segment.ts';
import { isCode, writeWhole } from '../process/files.ts';

/** Version of the facts file; another version is thrown away and the log sealed again. */
const FACTS_FORMAT = 1;

/** What one pass over a log found and made. Lies beside the sealed file; both stay until every store has the log. */
export interface SealedSegment {
  readonly segment: SegmentFacts;
  /** Where the sealed file goes in every store, and what it is. */
  readonly object: StoredObject;
  /** Repository for which it was sealed; it opens in no other. */
  readonly repositoryId: string;
}

/** Writes the facts whole or not at all: their presence says that the sealed file is complete. */
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

/** Reads the facts of a log that must have been sealed. @throws unavailable `SpoolLost` */
export async function requireFacts(path: string): Promise<SealedSegment> {
  const facts = await readFacts(path);
  if (facts !== undefined) return facts;
  throw new AppError({
    code: 'SpoolLost',
    kind: 'unavailable',
    message: `${path} is gone: someone removed files from the staging folder, so the log is sealed again.`,
    facts: { path },
  });
}
