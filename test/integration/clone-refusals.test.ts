import { strict as assert } from 'node:assert';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { abandonBackup } from '../../src/backup/abandon.ts';
import type { BackupContext } from '../../src/backup/context.ts';
import { executeClone } from '../../src/backup/execute.ts';
import { prepareBackup } from '../../src/backup/prepare.ts';
import { connectMysql } from '../../src/mysql/session.ts';
import { createUser } from '../support/mysql-users.ts';
import { type BackupRig, newRequest, startBackupRig, takeBackup } from './base-rig.ts';

describe('the clone engine', () => {
  let rig: BackupRig;
  before(async () => {
    rig = await startBackupRig();
  });
  after(() => rig.stop());

  const prepare = (ctx: BackupContext = rig.ctx) => prepareBackup(ctx, newRequest());

  it('refuses tables of other engines that hold rows, by name, and takes empty ones', async () => {
    await rig.source.run(
      'CREATE TABLE shop.empty (id INT) ENGINE=MyISAM',
      'CREATE TABLE shop.`odd näme` (id INT) ENGINE=MyISAM',
      'INSERT INTO shop.`odd näme` VALUES (1)',
      'CREATE TABLE shop.cache (id INT) ENGINE=MEMORY',
      'INSERT INTO shop.cache VALUES (1)',
    );
    await assert.rejects(prepare(), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ForeignEngineRows');
      assert.match(error.message, /shop\.cache \(MEMORY\), shop\.odd näme \(MyISAM\)/);
      assert.doesNotMatch(error.message, /shop\.empty/);
      return true;
    });
    await rig.source.run('DELETE FROM shop.`odd näme`', 'DELETE FROM shop.cache');
    await takeBackup(rig.ctx);
  });

  it('notices rows that come into such a table while the clone is taken', async () => {
    const prepared = await prepare();
    await rig.source.run('INSERT INTO shop.empty VALUES (1)');
    await assert.rejects(executeClone(rig.ctx, prepared), { code: 'ForeignEngineRows', kind: 'refused' });
    await rig.source.run('DROP TABLE shop.empty, shop.`odd näme`, shop.cache');
    await abandonBackup(rig.ctx, prepared.backupId);
    assert.deepEqual(await readdir(join(rig.ctx.stagingDir, 'backups')), []);
  });

  it('refuses empty tables that a clone breaks', async () => {
    await rig.source.run(
      'CREATE TABLE shop.kept (id INT) ENGINE=ARCHIVE',
      'CREATE TABLE shop.`back``tick` (id INT) ENGINE=MyISAM',
    );
    await assert.rejects(prepare(), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'TablesNotCloned');
      assert.match(error.message, /shop\.back`tick \(MyISAM\), shop\.kept \(ARCHIVE\)/);
      return true;
    });
    await rig.source.run('DROP TABLE shop.kept, shop.`back``tick`');
  });

  it('names the privileges that are missing', async () => {
    const { user, password } = await createUser(rig.source, 'poor', ['REPLICATION CLIENT']);
    const connect = () => connectMysql({ socket: rig.source.socket }, user, password);
    await assert.rejects(prepare({ ...rig.ctx, connect }), {
      code: 'PrivilegeMissing',
      hint: "Run there: GRANT BACKUP_ADMIN, SELECT ON *.* TO 'poor'@'%';",
    });
  });

  it('refuses while DDL waits, and says which statement', async () => {
    const holder = await rig.source.connect();
    await holder.run('START TRANSACTION');
    await holder.query('SELECT * FROM shop.orders LIMIT 1');
    const ddl = await rig.source.connect();
    const waiting = ddl.run('ALTER TABLE shop.orders ADD COLUMN slow INT').catch((error: Error) => error);
    await sleep(300);
    await assert.rejects(prepare(), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'DdlRunning');
      assert.match(error.message, /ALTER TABLE shop\.orders ADD COLUMN slow/);
      return true;
    });
    await holder.close();
    await waiting;
    await ddl.close();
    await prepare();
  });

  it('says the statement that installs the plugin where it is missing', async () => {
    await rig.source.shutdown();
    await rig.source.start(['--plugin-load=']);
    await assert.rejects(prepare(), (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, 'PluginMissing');
      assert.match(error.hint ?? '', /INSTALL PLUGIN clone SONAME 'mysql_clone\.so'/);
      return true;
    });
    await rig.source.shutdown();
    await rig.source.start();
  });

  it('refuses a server without GTIDs, and notes statement logging', async () => {
    await rig.source.run('SET GLOBAL gtid_mode = ON_PERMISSIVE');
    await assert.rejects(prepare(), { code: 'GtidModeOff', kind: 'refused' });
    await rig.source.run('SET GLOBAL gtid_mode = ON', "SET GLOBAL binlog_format = 'MIXED'");
    const { notes } = await prepare();
    assert.match(notes.join(), /binlog_format is MIXED/);
    await rig.source.run("SET GLOBAL binlog_format = 'ROW'");
  });

  it('refuses data files that lie outside of the data folder, and leaves them as they are', async () => {
    const elsewhere = join(rig.folder.path, 'elsewhere');
    await mkdir(elsewhere);
    await rig.source.shutdown();
    await rig.source.start([`--innodb-directories=${elsewhere}`]);
    await rig.source.run(
      `CREATE TABLE shop.outside (id INT PRIMARY KEY) DATA DIRECTORY = '${elsewhere}'`,
      'INSERT INTO shop.outside VALUES (1)',
    );
    const prepared = await prepare();
    await assert.rejects(executeClone(rig.ctx, prepared), { code: 'CloneFailed', kind: 'refused' });
    assert.ok((await stat(join(elsewhere, 'shop', 'outside.ibd'))).size > 0);
    await abandonBackup(rig.ctx, prepared.backupId);
    await rig.source.run('DROP TABLE shop.outside');
  });

  it('begins anew where an earlier try left a partial clone', async () => {
    const prepared = await prepare();
    const clone = join(rig.ctx.stagingDir, 'backups', prepared.backupId, 'clone');
    await mkdir(clone, { recursive: true });
    await writeFile(join(clone, 'ibdata1'), 'half');
    await executeClone(rig.ctx, prepared);
    assert.ok((await stat(join(clone, 'ibdata1'))).size > 1_000_000);
    await abandonBackup(rig.ctx, prepared.backupId);
  });

  it('stops the clone in the server when it is cancelled', async () => {
    const prepared = await prepare();
    const stop = new AbortController();
    stop.abort(new Error('cancelled by test'));
    const work = executeClone({ ...rig.ctx, signal: stop.signal }, prepared);
    // A small clone may be faster than the cancel; it then counts as done.
    await work.catch((error: Error) => assert.match(error.message, /cancelled by test/));
    await abandonBackup(rig.ctx, prepared.backupId);
    const running = await rig.source.query(
      "SELECT 1 FROM performance_schema.clone_status WHERE STATE = 'In Progress'",
    );
    assert.deepEqual(running, []);
  });
});
