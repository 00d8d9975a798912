import { AppError } from '../domain/errors.ts';
import { RunningSha256 } from '../envelope/digest.ts';
import { type Checksum, runningChecksum } from './checksum.ts';
import type { CreateOptions, ObjectStore } from './object-store.ts';
import { readStored } from './read-back.ts';
import { storedDiffers } from './refusals.ts';

/** The one object that probing leaves in a store. */
export const PROBE_KEY = 'probe/precondition';
const CONTENT = Buffer.from('This object proves that the store creates each key once.\n');

export interface ProbeReport {
  readonly store: string;
  readonly location: string;
  /** `exists` where an earlier probe made the object. */
  readonly first: 'created' | 'exists';
  readonly createMs: number;
  readonly readMs: number;
  /** Whether the store keeps a checksum of the whole object by itself. */
  readonly keepsChecksum: boolean;
}

/**
 * Proves that a store honours the precondition in each of its ways to create, and gives back what
 * it was given. Leaves one small object; a second probe uses it again.
 *
 * @throws refused `NoPreconditions`, `StoreDenied`; corrupt `StoredDiffers`; config; unavailable
 */
export async function probeStore(
  store: ObjectStore,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ProbeReport> {
  const start = performance.now();
  const first = await create(store, options);
  const createMs = performance.now() - start;
  // Stores exist that honour the precondition in one request and ignore it for uploads in parts.
  for (const transfer of ['as-needed', 'parts'] as const) {
    const again = await create(store, { ...options, transfer });
    if (again !== 'exists') throw noPreconditions(store, transfer);
  }
  const readStart = performance.now();
  const found = await readStored(store, PROBE_KEY, options);
  const expected = new RunningSha256();
  expected.update(CONTENT);
  if (found.sha256 !== expected.finish()) {
    throw storedDiffers(store.location, PROBE_KEY, `it has ${found.lengthBytes} other bytes`);
  }
  const info = await store.head(PROBE_KEY, options);
  return {
    store: store.id,
    location: store.location,
    first,
    createMs,
    readMs: performance.now() - readStart,
    keepsChecksum: await isOfContent(info?.checksum ?? null),
  };
}

async function create(store: ObjectStore, options: CreateOptions): Promise<'created' | 'exists'> {
  async function* content(): AsyncGenerator<Uint8Array> {
    yield CONTENT;
  }
  const outcome = await store.create(PROBE_KEY, content(), { ...options, lengthBytes: CONTENT.length });
  return outcome.status;
}

async function isOfContent(checksum: Checksum | null): Promise<boolean> {
  if (checksum === null) return false;
  const expected = await runningChecksum(checksum.kind);
  expected.update(CONTENT);
  return checksum.hex === expected.finish();
}

function noPreconditions(store: ObjectStore, transfer: 'as-needed' | 'parts'): AppError {
  const way = transfer === 'parts' ? 'an upload in parts' : 'a single request';
  return new AppError({
    code: 'NoPreconditions',
    kind: 'refused',
    message: `${store.location} wrote over an object that was to be created only where none exists (by ${way}): an archive there could lose what it holds, so nothing is stored.`,
    hint: 'Use a store that honours If-None-Match on PutObject and CompleteMultipartUpload (S3) or ifGenerationMatch (GCS), or a newer version of this one.',
    facts: { store: store.id, location: store.location, way },
  });
}
