import type { Repository } from '../archiving/repositories.ts';
import { viewOf } from '../catalog/view.ts';
import { AppError } from '../domain/errors.ts';
import type { StoredObject } from '../domain/segment.ts';
import { copyConflict, copyObject } from './copy-object.ts';
import { inOrder } from './in-order.ts';
import { lookAtObject, type ObjectFinding } from './look-at-object.ts';
import { isSealed, type SealedBody } from './sealed-body.ts';

export interface MendOptions {
  readonly from: Repository;
  readonly to: Repository;
  /** How many objects travel at once. */
  readonly parallel: number;
  readonly signal: AbortSignal;
}

/** An object that the catalog of a store names, and that is not in it. */
export interface LostObject {
  readonly object: StoredObject;
  /** Whether the other store's catalog names these very bytes. */
  readonly elsewhere: 'same-bytes' | 'none';
}

/** What a look at every object that the catalog of a store names found, without reading any. */
export interface Inspection {
  readonly objects: number;
  /** Those of which the store itself says the length and the checksum that the catalog says. */
  readonly byChecksum: number;
  /** Those of which it can only say the length: bytes that were changed would not show. */
  readonly byLength: number;
  /** Removed by somebody, for pitrail removes nothing. */
  readonly lost: readonly LostObject[];
  /** Those that are there and are not what was stored. */
  readonly changed: readonly ObjectFinding[];
}

export interface InspectOptions extends Pick<MendOptions, 'from' | 'to' | 'signal'> {
  /** Called once, with the stored bytes of all objects; not where there are none. */
  readonly onStart: (totalBytes: number) => void;
  /** Called with the stored bytes of the objects that were looked at so far. */
  readonly onProgress: (doneBytes: number) => void;
}

/** Looks that are under way at once. */
const LOOKS = 16;

/**
 * Looks at each object that the catalog of `to` names, by one small request: whether it is there, and whether its
 * length and the checksum that the store keeps are those of the catalog. Whether it opens is for `verify` to tell.
 * @throws what reading a catalog throws; unavailable, refused `StoreDenied`
 */
export async function inspectObjects({ from, to, signal, ...told }: InspectOptions): Promise<Inspection> {
  const there = new Map((await namedBy(from)).map(({ object: { key, sha256 } }) => [key, sha256]));
  const named = await namedBy(to);
  if (named.length > 0) told.onStart(named.reduce((sum, { object }) => sum + object.lengthBytes, 0));
  const found = { byChecksum: 0, byLength: 0 };
  const lost: LostObject[] = [];
  const changed: ObjectFinding[] = [];
  let doneBytes = 0;
  const looks = inOrder(named, LOOKS, signal, (body, stop) => lookAtObject(to.store, body, stop));
  for await (const { item, result } of looks) {
    const { object } = item;
    doneBytes += object.lengthBytes;
    told.onProgress(doneBytes);
    if (result.kind === 'present') found[result.by === 'checksum' ? 'byChecksum' : 'byLength'] += 1;
    if (result.kind !== 'damaged') continue;
    const isLost = result.findings.some(({ code }) => code === 'missing');
    if (!isLost) changed.push(...result.findings);
    else lost.push({ object, elsewhere: there.get(object.key) === object.sha256 ? 'same-bytes' : 'none' });
  }
  return { objects: named.length, ...found, lost, changed };
}

/** Copies lost objects back, byte for byte, and reads them back. May be run again. @throws as `copyObject` */
export async function mendObjects(
  { from, to, parallel, signal }: MendOptions,
  lost: readonly LostObject[],
): Promise<void> {
  const adopt = (object: StoredObject) => {
    const message = 'it has other bytes than its catalog says';
    const cause = new AppError({ code: 'ObjectConflict', kind: 'conflict', message });
    return Promise.reject(copyConflict(to.store, object, cause));
  };
  const copies = inOrder(
    lost.filter(({ elsewhere }) => elsewhere === 'same-bytes'),
    parallel,
    signal,
    ({ object }, stop) =>
      copyObject({
        from: from.store,
        to: to.store,
        object,
        signal: stop,
        onProgress: () => undefined,
        adopt,
      }),
  );
  for await (const _copy of copies);
}

async function namedBy({ store, catalog }: Repository): Promise<readonly SealedBody[]> {
  const state = await catalog.readIfAny();
  if (state === undefined) return [];
  return viewOf(store.id, state)
    .entries.map(({ body }) => body)
    .filter(isSealed);
}
