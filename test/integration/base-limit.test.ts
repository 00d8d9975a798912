/** Promise: a base backup goes to all stores together no faster than the source's limit, and hardly slower. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { uploadBackup } from '../../src/backup/upload.ts';
import { type GateClock, RateGate } from '../../src/storage/guard/rate-gate.ts';
import type { CreateOptions, ObjectStore } from '../../src/storage/object-store.ts';
import { addNoise } from '../support/workload.ts';
import { type BackupRig, newRequest, PHASES, startBackupRig } from './base-rig.ts';

const LIMIT = 1024 * 1024;

let rig: BackupRig;
before(async () => {
  rig = await startBackupRig();
  await rig.source.run(
    'CREATE DATABASE d',
    'CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)',
  );
  await addNoise(rig.source, 20);
});
after(() => rig.stop());

/** A clock on which time passes only where somebody sleeps. */
class VirtualClock implements GateClock {
  #nowMs = 0;

  now(): number {
    return this.#nowMs;
  }

  async sleep(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    // The others that sleep now have to fall asleep first.
    await new Promise(setImmediate);
    this.#nowMs = Math.max(this.#nowMs, end);
  }
}

interface Arrival {
  readonly bytes: number;
  readonly atMs: number;
}

/** A store that notes when which bytes come to it. */
function watched(store: ObjectStore, clock: GateClock, arrivals: Arrival[]): ObjectStore {
  async function* noted(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      arrivals.push({ bytes: chunk.length, atMs: clock.now() });
      yield chunk;
    }
  }
  return {
    id: store.id,
    kind: store.kind,
    location: store.location,
    create: (key: string, body: AsyncIterable<Uint8Array>, options?: CreateOptions) =>
      store.create(key, noted(body), options),
    read: (key, options) => store.read(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    close: () => store.close(),
  };
}

test('what goes to both stores together keeps to the limit of the source, within 10 %', async (t) => {
  const clock = new VirtualClock();
  const arrivals: Arrival[] = [];
  const all = rig.repositories.all.map((repository) => ({
    ...repository,
    store: watched(repository.store, clock, arrivals),
  }));
  const gate = new RateGate(LIMIT, clock);
  const ctx = { ...rig.ctx, repositories: { ...rig.repositories, all }, gate };
  let state: unknown = newRequest();
  for (const [name, phase] of PHASES) {
    if (name === 'sealAndUpload') break;
    state = await phase(rig.ctx, state as never);
  }
  const { objects } = await uploadBackup(ctx, state as never);
  const stored = objects.reduce((sum, { object }) => sum + object.lengthBytes, 0);
  assert.equal(objects.length, 2);
  assert.ok(stored > 20 * LIMIT, `${stored} bytes`);
  let sent = 0;
  let largest = 0;
  for (const { bytes, atMs } of arrivals) {
    sent += bytes;
    largest = Math.max(largest, bytes);
    // A burst of a quarter of a second at the start.
    const allowed = LIMIT * (0.25 + atMs / 1000) + largest;
    assert.ok(sent <= allowed, `${sent} bytes after ${atMs} ms`);
  }
  assert.equal(sent, stored);
  const rate = stored / (clock.now() / 1000);
  t.diagnostic(`${stored} bytes in ${clock.now()} virtual ms: ${rate.toFixed(0)} bytes/s of ${LIMIT}`);
  assert.ok(Math.abs(rate - LIMIT) <= 0.1 * LIMIT, `${rate} bytes/s`);
});
