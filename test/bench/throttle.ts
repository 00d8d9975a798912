/** The rate at which bytes really go to a store and come from it under a limit, alone and side by side. */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { withTempDir } from '../../src/process/temp.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { guardByRules } from '../../src/storage/guard/guarded-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';

export interface ThrottleFigures {
  readonly limitBytes: number;
  /** Measured rate by the limit; 1 is exact. */
  readonly up: number;
  readonly upSideBySide: number;
  readonly down: number;
}

const LIMIT = 20_000_000;
const SECONDS = 10;

/** Measures ten seconds of each. */
export function benchThrottle(): Promise<ThrottleFigures> {
  return withTempDir('pitrail-bench-throttle', async (dir) => {
    const directory = join(dir, 'store');
    await mkdir(directory);
    const rules = { policy: 'required', limitBytesPerSecond: LIMIT, verify: 'full' } as const;
    const open = () => guardByRules(openDirectoryStore({ id: 'main', directory }), rules);
    const all = LIMIT * SECONDS;
    const up = await rateOf(all, () => create(open(), 'alone', all));
    const store = open();
    const upSideBySide = await rateOf(all, () =>
      Promise.all(Array.from({ length: 4 }, (_, index) => create(store, `beside-${index}`, all / 4))),
    );
    const down = await rateOf(all, () => drain(open().read('alone')));
    return { limitBytes: LIMIT, up, upSideBySide, down };
  });
}

async function rateOf(bytes: number, work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return bytes / ((performance.now() - startedAt) / 1000) / LIMIT;
}

function create(store: ObjectStore, key: string, bytes: number): Promise<unknown> {
  return store.create(key, bodyOf(bytes), { lengthBytes: bytes });
}

async function* bodyOf(bytes: number): AsyncGenerator<Uint8Array> {
  const chunk = randomBytes(1_000_000);
  for (let sent = 0; sent < bytes; sent += chunk.length)
    yield chunk.subarray(0, Math.min(chunk.length, bytes - sent));
}

async function drain(stream: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of stream);
}
