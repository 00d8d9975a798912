import { fetchSmall, MAX_ENTRY_BYTES, once } from '../catalog/fetch.ts';
import { catalogKey } from '../domain/object-keys.ts';
import type { Repository } from './repositories.ts';

/**
 * Proves that a store can be used: its catalog can be read, and it lets objects be created. Nothing is
 * written: the first entry is created with the bytes in which it stands there, and a store that denies
 * writing says so before it says that the object exists.
 *
 * @throws unavailable, refused or config where the store cannot be used; corrupt, refused where its catalog cannot
 */
export async function reachStore({ store, catalog }: Repository): Promise<void> {
  // Asks for little first: it is known sooner that nobody is there.
  await store.head(catalogKey(1));
  await catalog.read();
  const first = await fetchSmall(store, catalogKey(1), MAX_ENTRY_BYTES, null);
  if (first === undefined) return;
  await store.create(catalogKey(1), once(first), { lengthBytes: first.length });
}
