/** Promise: a restore leaves the memory to its server: pitrail itself takes 300 MB at most, however large the binlogs. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startS3, type TestS3 } from '../support/s3.ts';
import { createShop } from '../support/workload.ts';
import { type RestoreRig, startPitrail, startRestoreRig } from './restore-rig.ts';

const ACCESS_VARIABLE = 'PITRAIL_TEST_MEMORY_ACCESS';
const SECRET_VARIABLE = 'PITRAIL_TEST_MEMORY_SECRET';
const MAX_BYTES = 300_000_000;
const LOG_BYTES = 300_000_000;

let rig: RestoreRig;
let s3: TestS3;

before(async () => {
  s3 = await startS3();
  process.env[ACCESS_VARIABLE] = s3.credentials.accessKeyId;
  process.env[SECRET_VARIABLE] = s3.credentials.secretAccessKey;
  rig = await startRestoreRig({ stores: [storeInS3()] });
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
  await s3?.stop();
});

function storeInS3(): unknown {
  return {
    id: 's3',
    s3: {
      bucket: s3.bucket,
      region: s3.region,
      endpoint: s3.endpoint,
      pathStyle: true,
      accessKeyId: { env: ACCESS_VARIABLE },
      secretAccessKey: { env: SECRET_VARIABLE },
    },
  };
}

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

function restore(store: string): readonly string[] {
  return [
    'restore',
    '--to',
    'latest',
    '--target-dir',
    rig.newTarget(),
    '--direct',
    '--store',
    store,
    '--json',
  ];
}

for (const store of ['main', 's3']) {
  test(`restore --direct from the store ${store}`, { timeout: 300_000 }, async (context) => {
    const peak = await peakBytes(restore(store));
    context.diagnostic(`${Math.round(peak / 1e6)} MB at the peak`);
    assert.ok(peak > 0 && peak <= MAX_BYTES, `it took ${peak} bytes`);
  });
}

test('plan and locate, which read the binlogs, too', { timeout: 120_000 }, async (context) => {
  for (const args of [
    ['plan', '--to', 'latest', '--store', 's3', '--json'],
    ['locate', '--since', '2020-01-01T00:00:00Z', '--op', 'drop', '--store', 's3', '--json'],
  ]) {
    const peak = await peakBytes(args);
    context.diagnostic(`${args[0]}: ${Math.round(peak / 1e6)} MB at the peak`);
    assert.ok(peak > 0 && peak <= MAX_BYTES, `${args[0]} took ${peak} bytes`);
  }
});
