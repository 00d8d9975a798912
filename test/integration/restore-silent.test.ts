/**
 * Promise: a store that takes connections and says nothing holds up no restore: what needs it goes on with another
 * store once the guard around it has asked in vain, and says so. No command hangs on it, or ends as if all were done.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { openArchive } from '../../src/restoring/archive.ts';
import { restoreDirectly } from '../../src/restoring/direct.ts';
import type { RestoreStep } from '../../src/restoring/job.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';

import { startS3, type TestS3 } from '../support/s3.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import { documentOf, pitrail } from './cli-run.ts';
import { type RestoreRig, startRestored, startRestoreRig } from './restore-rig.ts';

/** What the guard says: silent for its question and its answer, not for the minute of a socket. */
const SILENT = /has answered nothing for (\d+) s/;
const MAX_SILENT_SECONDS = 20;

let rig: RestoreRig;
let s3: TestS3;
let cable: TcpProxy;
let truth: Record<string, string>;

before(async () => {
  s3 = await startS3();
  cable = await tcpProxy(s3);
  const folder = join(s3.folder, '..');
  await writeFile(join(folder, 'access'), `${s3.credentials.accessKeyId}\n`, { mode: 0o600 });
  await writeFile(join(folder, 'secret'), `${s3.credentials.secretAccessKey}\n`, { mode: 0o600 });
  const { region, bucket } = s3;
  const far = {
    bucket,
    prefix: 'archive',
    region,
    endpoint: `http://127.0.0.1:${cable.port}`,
    pathStyle: true,
    accessKeyId: { file: join(folder, 'access') },
    secretAccessKey: { file: join(folder, 'secret') },
  };
  rig = await startRestoreRig({ stores: [{ id: 's3', s3: far }] });
  await createShop(rig.source);
  await rig.archive();
  await rig.backup();
  for (const seed of [1, 2]) {
    await placeOrders(rig.source, 20, seed);
    await rig.archive();
  }
  truth = await tableChecksums(rig.source);
});
afterEach(() => {
  cable.setWeather({ kind: 'clear' });
  cable.reset();
});
after(async () => {
  await rig.stop();
  await cable.stop();
  await s3.stop();
});

/** The same cluster with the store behind the cable first. */
function farFirst(): RestoreRig['cluster'] {
  return { ...rig.cluster, stores: rig.cluster.stores.toReversed() };
}

async function restoreHeldFrom(step: RestoreStep): Promise<RestoreOutcome> {
  const context = await rig.context({ cluster: farFirst() });
  return restoreDirectly(context, rig.job('latest'), {
    onStep: (begun) => {
      if (begun === step) cable.setWeather({ kind: 'hold' });
    },
    onPlanned: () => undefined,
    onRetry: () => undefined,
  });
}

async function assertTruth({ dataDir }: RestoreOutcome): Promise<void> {
  const restored = await startRestored(dataDir);
  try {
    assert.deepEqual(await tableChecksums(restored), truth);
  } finally {
    await restored.stop();
  }
}

function assertSoon(said: string): void {
  const seconds = Number(SILENT.exec(said)?.[1]);
  assert.ok(seconds < MAX_SILENT_SECONDS, said);
}

for (const step of ['fetch', 'replay'] as const) {
  test(`a first store that falls silent before the ${step} is replaced by the other one within its guard's patience`, async () => {
    const outcome = await restoreHeldFrom(step);
    assert.ok(outcome.fallovers.length > 0);
    for (const { from, to, reason } of outcome.fallovers) {
      assert.deepEqual([from, to], ['s3', 'main']);
      assertSoon(reason);
    }
    await assertTruth(outcome);
  });
}

test('a first store that is silent from the beginning is passed over by the plan, and told of', async () => {
  cable.setWeather({ kind: 'hold' });
  const archive = await openArchive(farFirst(), null);
  const { passedOver } = archive;
  await archive.close();
  assert.equal(passedOver.length, 1);
  assert.match(passedOver[0] ?? '', /^s3: /);
  assertSoon(passedOver[0] ?? '');
});

test('verify says that a store is silent, and does not wait for it', async () => {
  cable.setWeather({ kind: 'hold' });
  const verify = await pitrail(['--config', rig.configFile, 'verify', '--json']);
  assert.equal(verify.code, 75, verify.stderr);
  assertSoon(verify.stdout);
  const { stores } = documentOf<{ stores: readonly { store: string }[] }>(verify);
  assert.deepEqual(
    stores.map(({ store }) => store),
    ['main', 's3'],
  );
});

test("no command hangs on it, or ends as if all were done: each names the silent store within the guard's patience", async () => {
  const commands = [
    ['check'],
    ['apply'],
    ['sync', '--from', 'main', '--to', 's3'],
    ['sync', '--from', 's3', '--to', 'main'],
    ['sync', '--from', 'main', '--to', 's3', '--dry-run'],
    ['verify', '--deep'],
  ];
  cable.setWeather({ kind: 'hold' });
  await Promise.all(
    commands.map(async (command) => {
      const began = performance.now();
      const run = await pitrail(['--config', rig.configFile, ...command]);
      const tookSeconds = (performance.now() - began) / 1000;
      const said = `${command.join(' ')}: ${run.stdout}${run.stderr}`;
      assert.equal(run.code, 75, said);
      assertSoon(said);
      const where = `s3://${s3.bucket}/archive at 127.0.0.1:${cable.port} has answered nothing`;
      assert.ok(said.includes(where), said);
      assert.ok(tookSeconds < 2 * MAX_SILENT_SECONDS, `${said} took ${tookSeconds} s`);
    }),
  );
});
