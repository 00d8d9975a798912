import { createReadStream } from 'node:fs';
import { AppError } from '../domain/errors.ts';
import type { RepositoryId } from '../domain/identity.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import { openWhole } from '../storage/read-back.ts';
import type { SealedSegment } from './facts-file.ts';
import { segmentContext } from './seal-context.ts';
import { type LogRef, stagedFiles } from './staging.ts';

const CHUNK_BYTES = 256 * 1024;

export interface ProveSealedOptions {
  readonly stagingDir: string;
  readonly log: LogRef;
  readonly repositoryId: RepositoryId;
  readonly key: EnvelopeKey;
  readonly signal: AbortSignal;
}

/**
 * Opens a sealed file before anything of it leaves the host: decrypts, decompresses, and compares the digests of the
 * log and of the sealed bytes. From here on, whoever holds bytes with the digest in the facts holds this log.
 *
 * @throws unavailable `SealUnproven`: it is made again
 */
export async function proveSealed(sealed: SealedSegment, options: ProveSealedOptions): Promise<void> {
  const { log, repositoryId, key, signal } = options;
  const path = stagedFiles(options.stagingDir, log).sealed;
  const input = createReadStream(path, { highWaterMark: CHUNK_BYTES, signal });
  const { sha256: plaintextSha256, lengthBytes } = sealed.segment;
  let found: string;
  try {
    const expected = { plaintextSha256, lengthBytes };
    const context = segmentContext(log, repositoryId);
    found = (await openWhole(input, key, context, expected, { signal })).sha256;
  } catch (error) {
    throw error instanceof AppError && error.kind === 'corrupt' ? unproven(log, path, error.message) : error;
  }
  if (found === sealed.object.sha256) return;
  throw unproven(log, path, `it has the SHA-256 ${found}, not ${sealed.object.sha256}`);
}

function unproven(log: LogRef, path: string, detail: string): AppError {
  return new AppError({
    code: 'SealUnproven',
    kind: 'unavailable',
    message: `The sealed file of ${log.binlog} does not open to what was sealed (${detail}): nothing of it left this host, and it is made again.`,
    hint: 'Check the disk of the staging folder and the memory of this host if this comes back.',
    facts: { binlog: log.binlog, path },
  });
}
