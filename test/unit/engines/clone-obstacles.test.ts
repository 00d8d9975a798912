import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { parseServerUuid } from '../../../src/domain/identity.ts';
import { cloneRefused } from '../../../src/engines/clone/obstacles.ts';
import { type CloneSurvey, judgeSurvey } from '../../../src/engines/clone/survey.ts';

const FINE: CloneSurvey = {
  server: {
    serverUuid: parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562'),
    serverId: 1,
    version: '9.7.4-2',
    gtidMode: 'ON',
    enforceGtidConsistency: 'ON',
    logBin: true,
    binlogFormat: 'ROW',
    binlogRowImage: 'FULL',
    binlogChecksum: 'CRC32',
    binlogEncryption: false,
    binlogExpireLogsSeconds: 0,
    binlogAutoPurge: 'ON',
    maxBinlogSizeBytes: 1,
    syncBinlog: 1,
    flushLogAtTrxCommit: 1,
    lowerCaseTableNames: 0,
    characterSetServer: 'utf8mb4',
    collationServer: 'utf8mb4_0900_ai_ci',
    gtidExecuted: '',
    gtidPurged: '',
    dataDir: '/var/lib/mysql/',
    logBinBasename: '/var/lib/mysql/binlog',
    superReadOnly: false,
  },
  account: "'pitrail'@'%'",
  pluginActive: true,
  missingPrivileges: [],
  foreignTables: [],
  brokenTables: [],
  encryptedTables: [],
  innodbPageSize: 16_384,
  innodbDataFilePath: 'ibdata1:12M:autoextend',
  ddl: { kind: 'quiet' },
  data: { kind: 'readable', ownerUid: 27, innodbBytes: 1000 },
  staging: { path: '/srv/staging', freeBytes: 1300 },
  uid: 27,
  programVersion: '9.7.4',
};

function codes(change: Partial<CloneSurvey>): string[] {
  return judgeSurvey({ ...FINE, ...change }).map(({ code }) => code);
}

describe('judgeSurvey', () => {
  it('lets a server pass that has all that a clone needs', () => {
    assert.deepEqual(codes({}), []);
  });

  it('names each thing that stands in the way', () => {
    const { server } = FINE;
    assert.deepEqual(codes({ pluginActive: false }), ['PluginMissing']);
    assert.deepEqual(codes({ missingPrivileges: ['BACKUP_ADMIN'] }), ['PrivilegeMissing']);
    assert.deepEqual(codes({ server: { ...server, gtidMode: 'ON_PERMISSIVE' } }), ['GtidModeOff']);
    assert.deepEqual(codes({ server: { ...server, logBin: false } }), ['BinlogOff']);
    assert.deepEqual(codes({ foreignTables: ['a.b (MyISAM)'] }), ['ForeignEngineRows']);
    assert.deepEqual(codes({ brokenTables: ['a.b (ARCHIVE)'] }), ['TablesNotCloned']);
    assert.deepEqual(codes({ encryptedTables: ['a.b'] }), ['EncryptedTables']);
    assert.deepEqual(codes({ innodbPageSize: 65_536 }), ['InnodbSettings']);
    assert.deepEqual(codes({ innodbDataFilePath: 'ibdata1:1G' }), ['InnodbSettings']);
    assert.deepEqual(codes({ ddl: { kind: 'blocked', statements: [] } }), ['DdlRunning']);
    assert.deepEqual(codes({ data: { kind: 'unreadable', reason: 'EACCES' } }), ['DataFolderUnreadable']);
    assert.deepEqual(codes({ uid: 1000 }), ['OtherUser']);
    assert.deepEqual(codes({ uid: 0 }), []);
    assert.deepEqual(codes({ programVersion: '9.6.0' }), ['ServerVersionDiffers']);
    assert.deepEqual(codes({ staging: { path: '/srv/staging', freeBytes: 1299 } }), ['DiskTooSmall']);
  });

  it('gathers all obstacles in one refusal with the statements that remove them', () => {
    const [first, ...others] = judgeSurvey({
      ...FINE,
      pluginActive: false,
      missingPrivileges: ['BACKUP_ADMIN'],
      foreignTables: Array.from({ length: 25 }, (_, n) => `db.t${n} (MyISAM)`),
    });
    assert.ok(first);
    const error = cloneRefused('db-1:3306', [first, ...others]);
    assert.equal(error.kind, 'refused');
    assert.equal(error.code, 'PluginMissing');
    assert.match(error.message, /db\.t19 \(MyISAM\) and 5 more/);
    assert.match(error.hint ?? '', /INSTALL PLUGIN clone SONAME 'mysql_clone\.so'/);
    assert.match(error.hint ?? '', /GRANT BACKUP_ADMIN ON \*\.\* TO 'pitrail'@'%';/);
  });
});
