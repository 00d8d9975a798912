import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../src/domain/errors.ts';
import {
  parseBackupId,
  parseBinlogName,
  parseServerUuid,
  parseSha256,
} from '../../../src/domain/identity.ts';
import { backupKey, catalogKey, catalogPackKey, segmentKey } from '../../../src/domain/object-keys.ts';
import { formatTarget, parseTarget } from '../../../src/domain/target.ts';
import {
  formatInstant,
  laterOf,
  MAX_MICROS,
  type Micros,
  microsFromMillis,
  microsFromSeconds,
  parseInstant,
  toMicros,
} from '../../../src/domain/time.ts';
import { Random } from './random.ts';

const U = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

function usage(pattern: RegExp) {
  return (error: unknown) =>
    error instanceof AppError && error.kind === 'usage' && pattern.test(`${error.message} ${error.hint}`);
}

describe('instants', () => {
  it('are read with any zone and up to six decimals, to the microsecond', () => {
    const cases: [string, string][] = [
      ['2026-11-20T10:32:05Z', '2026-11-20T10:32:05.000000Z'],
      ['2026-11-20T10:32:05.1z', '2026-11-20T10:32:05.100000Z'],
      ['2026-11-20t10:32:05.123456Z', '2026-11-20T10:32:05.123456Z'],
      ['2026-11-20T00:30:00+05:30', '2026-11-19T19:00:00.000000Z'],
      ['2026-12-31T23:30:00.000001-01:00', '2027-01-01T00:30:00.000001Z'],
      ['2028-02-29T00:00:00Z', '2028-02-29T00:00:00.000000Z'],
      ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000000Z'],
      ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'],
    ];
    for (const [text, wanted] of cases) assert.equal(formatInstant(parseInstant(text)), wanted);
    assert.equal(parseInstant('2026-11-20T10:32:05.123456Z'), 1_795_170_725_123_456n);
  });

  it('come back the same, at random', () => {
    const random = new Random(3);
    for (let round = 0; round < 2000; round += 1) {
      const at = (BigInt(random.int(2 ** 32)) * 59_000_000n + BigInt(random.int(1_000_000))) as Micros;
      assert.equal(parseInstant(formatInstant(at)), at);
    }
  });

  it('without a zone are refused, and the right form is shown', () => {
    assert.throws(() => parseInstant('2026-11-20 10:32'), usage(/no time zone.*2026-11-20T10:32:00Z/));
    assert.throws(() => parseInstant('2026-11-20T10:32:05.5'), usage(/2026-11-20T10:32:05\.5\+02:00/));
  });

  it('that do not exist, or are finer than MySQL, are refused', () => {
    const wrong: [string, RegExp][] = [
      ['2026-02-29T00:00:00Z', /does not exist/],
      ['2026-13-01T00:00:00Z', /does not exist/],
      ['2026-01-01T24:00:00Z', /does not exist/],
      ['2026-12-31T23:59:60Z', /leap second/],
      ['2026-01-01T00:60:00Z', /does not exist/],
      ['2026-01-01T00:00:00+24:00', /offset/],
      ['2026-01-01T00:00:00.1234567Z', /7 decimals/],
      ['1969-12-31T23:59:59Z', /1970/],
      ['0001-01-01T00:00:00Z', /./],
      ['20.11.2026 10:32', /RFC 3339/],
      ['now', /RFC 3339/],
      ['', /RFC 3339/],
    ];
    for (const [text, pattern] of wrong) assert.throws(() => parseInstant(text), usage(pattern), text);
  });

  it('are made of clock values without loss', () => {
    assert.equal(formatInstant(microsFromMillis(1500.7)), '1970-01-01T00:00:01.500000Z');
    assert.equal(formatInstant(microsFromSeconds(2)), '1970-01-01T00:00:02.000000Z');
    assert.equal(laterOf(microsFromSeconds(2), microsFromSeconds(1)), 2_000_000n);
    assert.throws(() => toMicros(MAX_MICROS + 1n), AppError);
    assert.throws(() => toMicros(-1n), AppError);
  });
});

describe('targets', () => {
  it('are written in one form and read back', () => {
    const cases: [string, string][] = [
      ['latest', 'latest'],
      [' LATEST ', 'latest'],
      ['2026-11-20T11:32:05+01:00', '2026-11-20T10:32:05.000000Z'],
      [`before:${U.toUpperCase()}:23`, `before:${U}:23`],
      [`after:${U}:Tag:23`, `after:${U}:tag:23`],
      ['file:binlog.000007:1234', 'file:binlog.000007:1234'],
      [`file:${U.toUpperCase()}/mysql-bin.000007:0`, `file:${U}/mysql-bin.000007:0`],
    ];
    for (const [text, wanted] of cases) {
      assert.equal(formatTarget(parseTarget(text)), wanted);
      assert.deepEqual(parseTarget(wanted), parseTarget(text));
    }
  });

  it('say what was meant where they are wrong', () => {
    const wrong: [string, RegExp][] = [
      ['2026-11-20T10:32:05', /no time zone.*2026-11-20T10:32:05Z/],
      ['2026-11-20 10:32', /2026-11-20T10:32:00Z/],
      ['20.11.2026 10:32', /RFC 3339.*2026-11-20T10:32:05/],
      ['2026-11-20', /Write it as/],
      ['1795170725', /Unix time/],
      [`${U}:5`, /without a side.*before:.*after:/],
      [`before:${U}:1-5`, /range/],
      ['before:5', /GTID/],
      [`after:${U}:0`, /no number/],
      ['file:binlog.000007', /offset/],
      ['file:binlog.000007:end', /offset/],
      ['file:../binlog.000007:4', /cannot be used/],
      ['file:binlog:4', /binlog name/],
      ['yesterday', /known forms.*latest/],
      ['', /known forms/],
    ];
    for (const [text, pattern] of wrong) assert.throws(() => parseTarget(text), usage(pattern), text);
  });
});

describe('object keys', () => {
  it('name what they hold', () => {
    const sha = parseSha256('0123456789abcdef'.repeat(4));
    const at = parseInstant('2026-01-31T23:59:59Z');
    const [uuid, binlog] = [parseServerUuid(U), parseBinlogName('binlog.000042')];
    assert.equal(segmentKey(uuid, binlog, at, sha), `mysql/${U}/2026/01/binlog.000042.0123456789ab.zst.enc`);
    assert.equal(
      segmentKey(uuid, binlog, at, sha, 'none'),
      `mysql/${U}/2026/01/binlog.000042.0123456789ab.zst`,
    );
    const id = parseBackupId('20261120T103205Z-1a2b3c4d');
    assert.equal(backupKey(id), 'backups/20261120T103205Z-1a2b3c4d/base.tar.zst.enc');
    assert.equal(backupKey(id, 'none'), 'backups/20261120T103205Z-1a2b3c4d/base.tar.zst');
    assert.equal(catalogKey(7), 'catalog/00000000000000000007.json');
    assert.equal(catalogPackKey(12), 'catalog/packs/00000000000000000012.ndjson.zst');
    assert.throws(() => catalogKey(1.5), AppError);
  });
});
