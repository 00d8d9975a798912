import { strict as assert } from 'node:assert';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { backupCompleteness } from '../../src/backup/completeness.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { parseServerUuid } from '../../src/domain/identity.ts';
import { claimDataFolder, neededBytes, releaseDataFolder } from '../../src/restoring/data-folder.ts';
import { fetchBase } from '../../src/restoring/fetch-base.ts';
import { assertNoCanary, assertNoCanaryInFolder } from '../support/canary.ts';
import { startTestMysql } from '../support/mysql.ts';
import { startTestReplica } from '../support/mysql-replica.ts';
import { runDdlMix, runXa, startWorkload, tableChecksums } from '../support/workload.ts';
import { type BackupRig, newRequest, PHASES, startBackupRig, takeBackup } from './base-rig.ts';
import { readerOf } from './reader.ts';

const signal = new AbortController().signal;

describe('a base backup', () => {
  let rig: BackupRig;
  before(async () => {
    rig = await startBackupRig();
  });
  after(() => rig.stop());

  it('taken under traffic restores, from either store, to exactly its coordinates', async () => {
    await runDdlMix(rig.source);
    const workload = await startWorkload(rig.source);
    const { registered } = await takeBackup(rig.ctx);
    await workload.stop();
    assert.deepEqual(
      registered.map(({ store }) => store),
      ['main', 's3'],
    );
    const [{ backup }] = registered as [(typeof registered)[number]];
    const next = GtidSet.parse(backup.coordinates.gtidExecuted).next(
      parseServerUuid(rig.source.serverUuid),
      '',
    );
    assert.ok(GtidSet.parse(await rig.source.gtidExecuted()).count() > next, 'traffic went on meanwhile');
    const truth = await startTestReplica(rig.source, {
      until: { before: `${rig.source.serverUuid}:${next}` },
    });
    await truth.waitForStop();
    const wanted = await tableChecksums(truth);
    for (const stored of registered) {
      const restored = await restore(rig, stored);
      assert.equal(await restored.gtidExecuted(), backup.coordinates.gtidExecuted);
      assert.deepEqual(await tableChecksums(restored), wanted);
      assert.notEqual(restored.serverUuid, rig.source.serverUuid);
      const [plugin] = await restored.query<{ n: string }>(
        "SELECT COUNT(*) AS n FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'clone' AND PLUGIN_STATUS = 'ACTIVE'",
      );
      assert.equal(Number(plugin?.n), 1, 'a restored server can be backed up again');
      await restored.stop();
    }
    await truth.stop();
  });

  it('may run each phase twice, and leaves nothing in the staging folder', async () => {
    const request = newRequest();
    let state: unknown = request;
    for (const [name, phase] of PHASES) {
      const first = await phase(rig.ctx, state as never);
      const second = await phase(rig.ctx, state as never);
      if (name !== 'prepare') assert.deepEqual(second, first, `${name} run twice`);
      state = first;
    }
    assert.deepEqual(await readdir(join(rig.ctx.stagingDir, 'backups')), []);
    for (const { catalog } of rig.repositories.all) {
      const found = (await catalog.read())
        .backups()
        .filter(({ backup }) => backup.backupId === request.backupId);
      assert.equal(found.length, 1);
    }
  });

  it('is complete only when the binlog in which it ends is archived', async () => {
    const { registered } = await takeBackup(rig.ctx);
    const [{ backup }] = registered as [(typeof registered)[number]];
    assert.equal(backupCompleteness(backup, []).kind, 'waiting');
  });

  it('keeps transactions that are prepared, and names them', async () => {
    await runXa(rig.source, 'one', 'left-prepared');
    await runXa(rig.source, 'two', 'left-prepared');
    const { registered } = await takeBackup(rig.ctx);
    const [stored] = registered as [(typeof registered)[number]];
    assert.deepEqual(
      stored.backup.preparedXa.map(({ dataHex }) => Buffer.from(dataHex, 'hex').toString()),
      ['one', 'two'],
    );
    const restored = await restore(rig, stored);
    await restored.run("XA COMMIT 'one'", "XA ROLLBACK 'two'");
    await restored.stop();
    await rig.source.run("XA ROLLBACK 'one'", "XA ROLLBACK 'two'");
  });

  it('is refused where MySQL loses prepared transactions in a start', async () => {
    // One formatID each: the server rolls some of them back when it recovers, though their GTIDs stay.
    const ids = ["'ab','c',1", "'d','e',1", "'f','',1", "'m1','',7", "'m2','',3", "'n2','x',2147483647"];
    for (const id of ids) {
      const session = await rig.source.connect();
      await session.run(`XA START ${id}`);
      await session.run("INSERT INTO shop.orders (customer_id, placed_at, note) VALUES (1, NOW(6), 'xa')");
      await session.run(`XA END ${id}`);
      await session.run(`XA PREPARE ${id}`);
      await session.close();
    }
    await assert.rejects(takeBackup(rig.ctx), { code: 'PreparedTransactionsLost', kind: 'refused' });
    for (const id of ids) await rig.source.run(`XA ROLLBACK ${id}`);
  });

  it('carries no secret and leaves no plaintext in a store', async () => {
    await assertNoCanaryInFolder(rig.ctx.stagingDir);
    await assertNoCanaryInFolder(join(rig.folder.path, 'store'));
    for (const { catalog } of rig.repositories.all) {
      assertNoCanary('the catalog', JSON.stringify((await catalog.read()).backups()));
    }
    const stored = (await rig.repositories.all[0]?.catalog.read())?.backups().at(0);
    assert.ok(stored);
    const bytes = await readFile(join(rig.folder.path, 'store', stored.object.key));
    assert.equal(bytes.indexOf('Customer'), -1);
  });
});

let restores = 0;

/** Fetches a stored backup into a fresh folder and starts a server on it. */
async function restore(rig: BackupRig, { store, backup, object }: Stored) {
  restores += 1;
  const home = rig.repositories.all.find((repository) => repository.store.id === store);
  assert.ok(home);
  const folder = await claimDataFolder({
    targetDir: join(rig.folder.path, `restored-${restores}`),
    restoreId: `restore-${restores}`,
    neededBytes: neededBytes(backup.tarBytes, 0),
  });
  let progress = 0;
  const fetched = await fetchBase({
    reader: readerOf({
      store: home.store,
      key: rig.repositories.key,
      repositoryId: (await home.catalog.read()).repositoryId,
    }),
    base: { backup, object, stores: [home.store.id] },
    folder,
    signal,
    onProgress: (doneBytes) => {
      progress = doneBytes;
    },
  });
  assert.equal(progress, backup.tarBytes);
  assert.equal(fetched.bytes, backup.dataBytes);
  await releaseDataFolder(folder);
  return startTestMysql({ dataDir: folder.targetDir });
}

type Stored = Awaited<ReturnType<typeof takeBackup>>['registered'][number];
