import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { makeBackupId } from '../../../src/backup/backup-id.ts';
import { backupCompleteness } from '../../../src/backup/completeness.ts';
import { parseBinlogName, parseServerUuid } from '../../../src/domain/identity.ts';
import { parseInstant } from '../../../src/domain/time.ts';

const UUID = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');
const backup = {
  serverUuid: UUID,
  coordinates: { gtidExecuted: `${UUID}:1-40`, gtidPurged: '', binlog: 'binlog.000004', position: 900 },
};
const segment = (binlog: string, lengthBytes: number, previousGtids: string, gtids: string) => ({
  serverUuid: UUID,
  binlog: parseBinlogName(binlog),
  lengthBytes,
  previousGtids,
  gtids,
});

describe('backupCompleteness', () => {
  it('waits while the binlog in which the backup ends is not archived', () => {
    const archived = [segment('binlog.000003', 5000, `${UUID}:1-20`, `${UUID}:21-30`)];
    assert.deepEqual(backupCompleteness(backup, archived), {
      kind: 'waiting',
      binlog: 'binlog.000004',
      missingGtids: `${UUID}:31-40`,
    });
    assert.equal(backupCompleteness(backup, []).kind, 'waiting');
  });

  it('is complete with that binlog, and not with a shorter one of its name', () => {
    const home = segment('binlog.000004', 900, `${UUID}:1-30`, `${UUID}:31-40`);
    assert.deepEqual(backupCompleteness(backup, [home]), { kind: 'complete' });
    assert.equal(backupCompleteness(backup, [{ ...home, lengthBytes: 899 }]).kind, 'waiting');
  });

  it('of a replica is complete where the logs of the archived server brought all of it, and its own name nothing', () => {
    const archived = parseServerUuid('00000000-0000-0000-0000-000000000001');
    const other = { ...segment('binlog.000004', 900, `${UUID}:1-30`, `${UUID}:31-40`), serverUuid: archived };
    assert.deepEqual(backupCompleteness(backup, [other]), { kind: 'complete' });
    const short = { ...other, gtids: `${UUID}:31-39` };
    assert.deepEqual(backupCompleteness(backup, [short]), {
      kind: 'waiting',
      binlog: 'binlog.000004',
      missingGtids: `${UUID}:40`,
    });
    // A server whose log is the newest on the timeline is archived itself, and waits for its own.
    const own = segment('binlog.000003', 5000, `${UUID}:1-20`, `${UUID}:21-30`);
    assert.equal(backupCompleteness(backup, [other, own]).kind, 'waiting');
    // One that was handed away waits for nothing of its own.
    assert.deepEqual(backupCompleteness(backup, [own, other]), { kind: 'complete' });
    assert.equal(backupCompleteness(backup, [own, short]).kind, 'waiting');
  });
});

describe('makeBackupId', () => {
  it('names the second in UTC, and refuses other randomness than it needs', () => {
    const at = parseInstant('2026-11-20T11:32:05.999999+01:00');
    assert.equal(makeBackupId(at, '1a2b3c4d'), '20261120T103205Z-1a2b3c4d');
    assert.throws(() => makeBackupId(at, 'XYZ'), { code: 'BadBackupIdParts' });
  });
});
