import type { Repository } from '../archiving/repositories.ts';
import { viewOf } from '../catalog/view.ts';
import { AppError } from '../domain/errors.ts';
import type { StoredObject } from '../domain/segment.ts';
import { copyConflict, copyObject } from './copy-object.ts';
import { inOrder } from './in-order.ts';
import { isSealed } from './sealed-body.ts';

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

/** Looks that are under way at once. */
const LOOKS = 16;

/**
 * Finds what the catalog of `to` names and `to` has not: removed by somebody, for pitrail removes nothing.
 * Whether an object that is there is whole is for `verify` to tell.
 * @throws what reading a catalog throws; unavailable, refused `StoreDenied`
 */
export async function findLost({ from, to, signal }: Omit<MendOptions, 'parallel'>): Promise<LostObject[]> {
  const there = new Map((await namedBy(from)).map(({ key, sha256 }) => [key, sha256]));
  const listed = await listedIn(to, signal);
  // A listing is a hint: what it does not show is asked for.
  const unseen = (await namedBy(to)).filter(({ key }) => !listed.has(key));
  const lost: LostObject[] = [];
  for await (const { item: object, result } of inOrder(unseen, LOOKS, signal, (it, stop) =>
    to.store.head(it.key, { signal: stop }),
  )) {
    if (result !== undefined) continue;
    lost.push({ object, elsewhere: there.get(object.key) === object.sha256 ? 'same-bytes' : 'none' });
  }
  return lost;
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

async function namedBy({ store, catalog }: Repository): Promise<readonly StoredObject[]> {
  const state = await catalog.readIfAny();
  if (state === undefined) return [];
  return viewOf(store.id, state)
    .entries.map(({ body }) => body)
    .filter(isSealed)
    .map(({ object }) => object);
}

/** Without the permission to list nothing is shown, so that each object is asked for. */
async function listedIn({ store }: Repository, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const listed = new Set<string>();
  try {
    for (const prefix of ['mysql/', 'backups/']) {
      for await (const { key } of store.list(prefix, { signal })) listed.add(key);
    }
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'StoreDenied')) throw error;
  }
  return listed;
}
