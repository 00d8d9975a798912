import assert from 'node:assert/strict';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';
import { bodyOf, gather } from './store-bodies.ts';

/** What a store opens at most, whatever is asked of it at once. */
const MOST = 64;

/** Proves how many connections a store that nobody has used yet makes through a cable, by what the cable accepted. */
export async function connectionsShared(store: ObjectStore, cable: TcpProxy): Promise<void> {
  const before = cable.accepted();
  const made = () => cable.accepted() - before;
  for (let i = 0; i < 40; i += 1) await useOnce(store, `one-by-one/${i}`);
  assert.equal(made(), 1, 'connections for 40 objects one after the other');
  const objects = Array.from({ length: 200 }, (_, i) => i);
  for (const round of ['first', 'second']) {
    await Promise.all(objects.map((i) => useOnce(store, `at-once/${round}/${i}`)));
    assert.ok(made() > 1 && made() <= MOST, `${made()} connections for 200 objects at once, ${round} time`);
  }
}

async function useOnce(store: ObjectStore, key: string): Promise<void> {
  const bytes = Buffer.from(key);
  assert.equal((await store.create(key, bodyOf(bytes), { lengthBytes: bytes.length })).status, 'created');
  assert.equal((await store.head(key))?.lengthBytes, bytes.length);
  assert.deepEqual(await gather(store.read(key)), bytes);
}
