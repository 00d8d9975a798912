import type { Repository } from '../archiving/repositories.ts';
import { viewOf } from '../catalog/view.ts';
import { AppError } from '../domain/errors.ts';
import type { CatalogView } from '../domain/routing/catalog-view.ts';
import { type ContiguousRange, contiguousRanges } from '../domain/routing/contiguous.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import { inOrder } from '../syncing/in-order.ts';
import { lookAtObject, type ObjectFinding } from '../syncing/look-at-object.ts';
import { isSealed, type SealedBody } from '../syncing/sealed-body.ts';
import { proveObject } from './verify-object.ts';

/** `look`: that each object is there, whole by its length and the store's own checksum. `prove`: all of it is read. */
export type VerifyDepth = 'look' | 'prove';

export interface VerifyOptions {
  readonly repository: Repository;
  readonly key: EnvelopeKey;
  readonly depth: VerifyDepth;
  readonly parallel: number;
  readonly signal: AbortSignal;
  /** Called once the catalog was read, with the stored bytes of all that it names. */
  readonly onStart: (totalBytes: number) => void;
  /** Called with the stored bytes that were looked at so far. */
  readonly onProgress: (doneBytes: number) => void;
}

/** What one store holds, and how much of it was proven. Plain JSON but for `view`. */
export interface VerifiedStore {
  readonly status: 'verified';
  readonly store: string;
  readonly location: string;
  readonly entries: number;
  readonly epoch: number;
  readonly segments: number;
  readonly backups: number;
  readonly bytes: number;
  /** Objects of which only the length is known: the store keeps no checksum of its own that could be compared. */
  readonly byLengthOnly: number;
  readonly damagedPacks: readonly number[];
  readonly findings: readonly ObjectFinding[];
  readonly ranges: readonly ContiguousRange[];
  /** Objects that no entry names: of an upload under way, or left by a crash. */
  readonly unnamed: readonly string[];
  readonly view: CatalogView;
}

export type StoreVerification =
  | VerifiedStore
  /** Its catalog cannot be read or believed, or it stopped answering. */
  | {
      readonly status: 'failed';
      readonly store: string;
      readonly location: string;
      readonly error: AppError;
    };

/** So many objects without an entry are named at most. */
const MAX_UNNAMED = 100;

/**
 * Walks the catalog of one store, entry by entry, and every object that it names. Changes nothing. What
 * keeps it from being walked is an answer, not an error.
 */
export async function verifyStore(options: VerifyOptions): Promise<StoreVerification> {
  const { store } = options.repository;
  try {
    return await walk(options);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { status: 'failed', store: store.id, location: store.location, error };
  }
}

async function walk(options: VerifyOptions): Promise<VerifiedStore> {
  const { repository, parallel, signal } = options;
  const { store, catalog } = repository;
  // Packs are met on the way of an ordinary read; entries prove every single object of the catalog.
  await catalog.read();
  const state = await catalog.read({ through: 'entries' });
  const view = viewOf(store.id, state);
  const bodies = view.entries.map(({ body }) => body).filter(isSealed);
  const bytes = bodies.reduce((sum, { object }) => sum + object.lengthBytes, 0);
  options.onStart(bytes);
  const findings: ObjectFinding[] = [];
  let byLengthOnly = 0;
  let doneBytes = 0;
  const proofs = inOrder(bodies, parallel, signal, (body, stop) => proof(options, body, stop));
  for await (const { item, result } of proofs) {
    if (result.kind === 'damaged') findings.push(...result.findings);
    if (result.kind === 'present' && result.by === 'length') byLengthOnly += 1;
    doneBytes += item.object.lengthBytes;
    options.onProgress(doneBytes);
  }
  return {
    status: 'verified',
    store: store.id,
    location: store.location,
    entries: state.head.sequence,
    epoch: state.epoch,
    segments: state.allSegments().length,
    backups: state.backups().length,
    bytes,
    byLengthOnly,
    damagedPacks: catalog.damagedPacks,
    findings,
    ranges: contiguousRanges(view),
    unnamed: await unnamedObjects(options, bodies),
    view,
  };
}

async function proof({ repository, key, depth }: VerifyOptions, body: SealedBody, signal: AbortSignal) {
  const { store, catalog } = repository;
  if (depth === 'look') return lookAtObject(store, body, signal);
  const { repositoryId } = catalog.known ?? (await catalog.read());
  return proveObject(store, key, body, repositoryId, { signal, onProgress: () => undefined });
}

/** A listing is a hint, so what it shows is told and judged by nobody. Without the permission to list there is none. */
async function unnamedObjects(
  { repository, signal }: VerifyOptions,
  bodies: readonly SealedBody[],
): Promise<string[]> {
  const named = new Set(bodies.map(({ object }) => object.key));
  const unnamed: string[] = [];
  try {
    for (const prefix of ['mysql/', 'backups/']) {
      for await (const { key } of repository.store.list(prefix, { signal })) {
        if (named.has(key)) continue;
        unnamed.push(key);
        if (unnamed.length === MAX_UNNAMED) return unnamed;
      }
    }
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'StoreDenied')) throw error;
  }
  return unnamed;
}
