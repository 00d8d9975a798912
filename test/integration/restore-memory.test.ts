/** Promise: a restore leaves the memory to its server: pitrail itself takes 300 MB at most, however large the binlogs. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createShop } from '../support/workload.ts';
import { type CloudStores, startCloudStores } from './cloud-stores.ts';
import { type RestoreRig, startPitrail, startRestoreRig } from './restore-rig.ts';

const MAX_BYTES = 300_000_000;
const LOG_BYTES = 300_000_000;

let rig: RestoreRig;
let clouds: CloudStores;

before(async () => {
  clouds = await startCloudStores();
  rig = await startRestoreRig({ stores: clouds.entries });
  const { source } = rig;
  await createShop(source);
  await source.run(
    'CREATE TABLE shop.steps (id INT PRIMARY KEY AUTO_INCREMENT, pad VARCHAR(3200))',
    `CREATE PROCEDURE shop.walk(steps INT) BEGIN
       WHILE steps > 0 DO
         INSERT INTO shop.steps (pad) VALUES (REPEAT(SHA2(steps, 512), 24));
         SET steps = steps - 1;
       END WHILE;
     END`,
  );
  await rig.archive();
  await rig.backup();
  await source.run('CALL shop.walk(93000)', 'CREATE TABLE shop.gone (id INT)', 'DROP TABLE shop.gone');
  const logs = await source.query<{ File_size: string }>('SHOW BINARY LOGS');
  assert.ok(Number(logs.at(-1)?.File_size) > LOG_BYTES, 'one log, larger than all the memory');
  await rig.archive();
});
after(async () => {
  await rig?.stop();
  await clouds?.stop();
});

/** The most that the process held at a time, as the kernel counts it, until it ended. */
async function peakBytes(args: readonly string[]): Promise<number> {
  const logFile = join(rig.folder.path, 'memory.log');
  const process = await startPitrail(rig, args, logFile);
  let over = false;
  const exited = process.exited.finally(() => {
    over = true;
  });
  let peak = 0;
  while (!over) {
    const status = await readFile(`/proc/${process.pid}/status`, 'utf8').catch(() => '');
    peak = Math.max(peak, 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    await Promise.race([sleep(20), exited]);
  }
  assert.equal((await exited).code, 0, await readFile(logFile, 'utf8'));
  return peak;
}

function restore(...more: readonly string[]): readonly string[] {
  return ['restore', '--to', 'latest', '--target-dir', rig.newTarget(), '--direct', '--json', ...more];
}

for (const [from, ...where] of [
  ['a folder', '--store', 'main'],
  ['S3', '--store', 's3'],
  ['a folder, S3 and GCS together'],
] as const) {
  test(`restore --direct from ${from}`, { timeout: 300_000 }, async (context) => {
    const peak = await peakBytes(restore(...where));
    context.diagnostic(`${Math.round(peak / 1e6)} MB at the peak`);
    assert.ok(peak > 0 && peak <= MAX_BYTES, `it took ${peak} bytes`);
  });
}

test('plan and locate, which read the binlogs, too', { timeout: 240_000 }, async (context) => {
  for (const args of [
    ['plan', '--to', 'latest', '--store', 's3', '--json'],
    ['plan', '--to', 'latest', '--json'],
    ['locate', '--since', '2020-01-01T00:00:00Z', '--op', 'drop', '--store', 's3', '--json'],
    ['locate', '--since', '2020-01-01T00:00:00Z', '--op', 'drop', '--json'],
  ]) {
    const peak = await peakBytes(args);
    context.diagnostic(
      `${args[0]} of ${args.includes('--store') ? 'one store' : 'all'}: ${Math.round(peak / 1e6)} MB at the peak`,
    );
    assert.ok(peak > 0 && peak <= MAX_BYTES, `${args[0]} took ${peak} bytes`);
  }
});
