import { segmentContext } from '../archiving/seal-context.ts';
import { parseBinlogName, parseRepositoryId, parseServerUuid, parseSha256 } from '../domain/identity.ts';
import type { StoredObject } from '../domain/segment.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import { open } from '../envelope/open.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** What names an archived binlog, and proves its bytes. */
export interface SegmentIdentity {
  readonly serverUuid: string;
  readonly binlog: string;
  readonly lengthBytes: number;
  readonly sha256: string;
  readonly object: StoredObject;
}

/** A place to read archived binlogs from. */
export interface SegmentHome {
  readonly store: ObjectStore;
  readonly key: EnvelopeKey;
  readonly repositoryId: string;
}

/**
 * Streams the plaintext of an archived binlog. Its last chunk is given only once the SHA-256 of the whole
 * was compared: whoever got all of it has the very log. A reader who leaves early closes the request, and
 * has what was authenticated piece by piece.
 * @throws what `ObjectStore.read` and `open` throw
 */
export function readSegment(
  home: SegmentHome,
  segment: SegmentIdentity,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  const log = { serverUuid: parseServerUuid(segment.serverUuid), binlog: parseBinlogName(segment.binlog) };
  const context = segmentContext(log, parseRepositoryId(home.repositoryId));
  const abort = signal === undefined ? {} : { signal };
  const opened = open(home.store.read(segment.object.key, abort), {
    key: home.key,
    context: { ...context, plaintextSha256: parseSha256(segment.sha256) },
    maxPlaintextBytes: segment.lengthBytes,
    ...abort,
  });
  return lastAtEnd(opened);
}

/** Gives each chunk when the next one is there, and the last one when the stream has ended well. */
async function* lastAtEnd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | undefined;
  for await (const chunk of chunks) {
    if (held !== undefined) yield held;
    held = chunk;
  }
  if (held !== undefined) yield held;
}
