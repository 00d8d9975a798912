import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  artificialRotate,
  heartbeatEvent,
  sentFormatDescription,
} from '../../../src/replay/protocol/artificial-events.ts';
import { parseCommand } from '../../../src/replay/protocol/commands.ts';
import {
  greetingPayload,
  isRightPassword,
  parseHandshakeResponse,
  scramblePassword,
  toNonce,
} from '../../../src/replay/protocol/handshake.ts';
import {
  framePackets,
  lengthEncoded,
  MAX_PACKET_PAYLOAD,
  PacketReader,
  readLengthEncoded,
} from '../../../src/replay/protocol/packets.ts';
import { answerQuery, INITIAL_SETTINGS } from '../../../src/replay/protocol/queries.ts';

const IDENTITY = { serverId: 7, serverUuid: '3e11fa47-71ca-11e1-9e33-c80aa9429562' };

describe('packets', () => {
  test('arrive whole however the bytes are cut', () => {
    const bytes = framePackets([Buffer.from('one'), Buffer.alloc(0), Buffer.from('three')], 254);
    for (const size of [1, 2, 3, 5, bytes.length]) {
      const reader = new PacketReader(1000);
      const seen: [number, string][] = [];
      for (let at = 0; at < bytes.length; at += size) {
        reader.push(bytes.subarray(at, at + size));
        for (let packet = reader.next(); packet !== null; packet = reader.next()) {
          seen.push([packet.sequence, packet.payload.toString()]);
        }
      }
      assert.deepEqual(seen, [
        [254, 'one'],
        [255, ''],
        [0, 'three'],
      ]);
    }
  });

  test('of 2^24 - 1 bytes go on in the next one', () => {
    const reader = new PacketReader(2 ** 25);
    const header = Buffer.from([0xff, 0xff, 0xff, 0]);
    reader.push(header);
    reader.push(Buffer.alloc(MAX_PACKET_PAYLOAD, 1));
    assert.equal(reader.next(), null);
    reader.push(Buffer.from([2, 0, 0, 1, 9, 9]));
    assert.equal(reader.next()?.payload.length, MAX_PACKET_PAYLOAD + 2);
  });

  test('without an end are refused before they fill memory', () => {
    const reader = new PacketReader(100);
    assert.throws(() => reader.push(Buffer.alloc(101)), { code: 'PacketTooLarge' });
  });

  test('length-encoded integers of every size', () => {
    for (const value of [0, 250, 251, 255, 65_535, 65_536, 2 ** 24 - 1, 2 ** 24, 2 ** 40 + 3]) {
      assert.equal(readLengthEncoded(lengthEncoded(value), 0).value, value);
    }
  });
});

describe('handshake', () => {
  const nonce = toNonce(Buffer.from(Array.from({ length: 20 }, (_, i) => i * 13)));

  test('the challenge has neither NUL nor dollar', () => {
    for (let byte = 0; byte < 256; byte += 1) {
      const made = toNonce(Buffer.alloc(20, byte));
      assert.ok(!made.includes(0) && !made.includes(0x24) && made.every((letter) => letter < 128));
    }
  });

  test('only the right password for this very challenge proves itself', () => {
    const answer = scramblePassword('s3cret', nonce);
    assert.ok(isRightPassword(answer, 's3cret', nonce));
    assert.ok(!isRightPassword(answer, 's3crets', nonce));
    assert.ok(!isRightPassword(answer, 's3cret', toNonce(Buffer.alloc(20, 9))));
    assert.ok(!isRightPassword(Buffer.alloc(0), 's3cret', nonce));
    assert.ok(!isRightPassword(Buffer.alloc(32), '', nonce));
  });

  test('a response is decoded, and a cut one is no crash', () => {
    const capabilities = Buffer.alloc(32);
    capabilities.writeUInt32LE(0x200 | 0x8000 | 0x80000 | 0x200000);
    const payload = Buffer.concat([
      capabilities,
      Buffer.from('replay\0'),
      Buffer.from([32]),
      Buffer.alloc(32, 5),
      Buffer.from('caching_sha2_password\0'),
    ]);
    assert.deepEqual(parseHandshakeResponse(payload), {
      kind: 'login',
      user: 'replay',
      authPlugin: 'caching_sha2_password',
      scramble: Buffer.alloc(32, 5),
    });
    for (let length = 0; length < payload.length; length += 1) {
      const { kind } = parseHandshakeResponse(payload.subarray(0, length));
      assert.ok(kind === 'unsupported' || length > 32);
    }
  });

  test('the greeting offers no TLS and no other plugin', () => {
    const greeting = greetingPayload(5, nonce);
    const text = greeting.toString('latin1');
    assert.equal(greeting[0], 10);
    assert.ok(text.endsWith('caching_sha2_password\0'));
    const low = greeting.readUInt16LE(greeting.indexOf(0, 1) + 1 + 4 + 8 + 1);
    assert.equal(low & 0x0800, 0);
  });
});

describe('commands', () => {
  const dump = (flags: number, set: Buffer) => {
    const head = Buffer.alloc(1 + 2 + 4 + 4 + 8 + 4);
    head.writeUInt8(0x1e, 0);
    head.writeUInt16LE(flags, 1);
    head.writeUInt32LE(99, 3);
    head.writeBigUInt64LE(4n, 11);
    head.writeUInt32LE(set.length, 19);
    return Buffer.concat([head, set]);
  };
  const uuid = Buffer.from('3e11fa4771ca11e19e33c80aa9429562', 'hex');
  const interval = (from: bigint, end: bigint) => {
    const bytes = Buffer.alloc(16);
    bytes.writeBigInt64LE(from, 0);
    bytes.writeBigInt64LE(end, 8);
    return bytes;
  };
  const count = (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes;
  };

  test('a dump request with an untagged GTID set', () => {
    const set = Buffer.concat([count(1n), uuid, count(2n), interval(1n, 6n), interval(8n, 9n)]);
    const command = parseCommand(dump(0, set));
    assert.equal(command.kind, 'dump-gtid');
    if (command.kind !== 'dump-gtid') return;
    assert.equal(command.has.toString(), '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:8');
    assert.equal(command.atEnd, 'heartbeat');
    assert.equal(command.heartbeat, 'v1');
    assert.equal(command.serverId, 99);
  });

  test('a dump request with the tagged encoding of 9.x, and the flags', () => {
    const tagged = (1n << 56n) | (2n << 8n) | 1n;
    const line = (tag: string) =>
      Buffer.concat([uuid, Buffer.from([tag.length << 1]), Buffer.from(tag), count(1n), interval(3n, 5n)]);
    const command = parseCommand(dump(3, Buffer.concat([count(tagged), line(''), line('night')])));
    assert.equal(command.kind, 'dump-gtid');
    if (command.kind !== 'dump-gtid') return;
    assert.equal(command.has.toString(), '3e11fa47-71ca-11e1-9e33-c80aa9429562:3-4:night:3-4');
    assert.equal(command.atEnd, 'end-of-file');
    assert.equal(command.heartbeat, 'v2');
  });

  test('whatever bytes come, nothing is thrown', () => {
    const set = Buffer.concat([count(1n), uuid, count(1n), interval(1n, 6n)]);
    const whole = dump(0, set);
    for (let length = 0; length < whole.length; length += 1) {
      assert.equal(parseCommand(whole.subarray(0, length)).kind, 'malformed');
    }
    assert.equal(
      parseCommand(dump(0, Buffer.concat([count(1n), uuid, count(1n), interval(6n, 6n)]))).kind,
      'malformed',
    );
    assert.equal(parseCommand(dump(0, count(2n ** 50n))).kind, 'malformed');
    assert.equal(parseCommand(Buffer.from([0x12])).kind, 'dump-position');
    assert.deepEqual(parseCommand(Buffer.from([0x77])), { kind: 'unknown', code: 0x77 });
  });
});

describe('statements of a connecting replica', () => {
  const ask = (sql: string) => answerQuery(sql, INITIAL_SETTINGS, IDENTITY, 1_700_000_000);

  test('are answered as a source does', () => {
    assert.deepEqual(ask('SELECT UNIX_TIMESTAMP()'), {
      kind: 'value',
      column: 'UNIX_TIMESTAMP()',
      value: '1700000000',
    });
    assert.deepEqual(ask('SELECT @@GLOBAL.SERVER_ID'), {
      kind: 'value',
      column: '@@GLOBAL.SERVER_ID',
      value: '7',
    });
    assert.deepEqual(ask('SELECT @@GLOBAL.GTID_MODE'), {
      kind: 'value',
      column: '@@GLOBAL.GTID_MODE',
      value: 'ON',
    });
    const set = ask('SET @master_heartbeat_period = 2500000000, @source_heartbeat_period = 2500000000');
    assert.deepEqual(set, { kind: 'set', settings: { ...INITIAL_SETTINGS, heartbeatMs: 2500 } });
    const crc = ask('SET @source_binlog_checksum = @@global.binlog_checksum');
    assert.equal(crc.kind === 'set' && crc.settings.checksum, 'crc32');
    const uuid = ask("SET @slave_uuid = 'a-b', @replica_uuid = 'a-b'");
    assert.equal(uuid.kind === 'set' && uuid.settings.replicaUuid, 'a-b');
    assert.equal(ask('SET NAMES utf8mb4').kind, 'set');
  });

  test('that are not known get an error, never a silent OK', () => {
    for (const sql of [
      'SET @unknown = 1',
      "SET @source_heartbeat_period = 'x'",
      'SET GLOBAL read_only = 1',
      'SET @source_binlog_checksum = ADLER',
      'SELECT 1',
      'SELECT USER() FROM mysql.user',
      'DROP TABLE t',
      'SET NAMES utf8mb4, @a = 1',
      '',
    ]) {
      assert.equal(ask(sql).kind, 'unknown-statement', sql);
    }
    assert.deepEqual(ask('SELECT @@global.rpl_semi_sync_source_enabled'), {
      kind: 'unknown-variable',
      name: '@@global.rpl_semi_sync_source_enabled',
    });
  });
});

describe('events that the source makes', () => {
  const crcOf = (event: Buffer) => crc32(event.subarray(0, -4));

  test('ROTATE and heartbeats carry a CRC where it was asked for', () => {
    const rotate = artificialRotate('binlog.000007', 7, 'crc32');
    assert.equal(rotate.readUInt32LE(rotate.length - 4), crcOf(rotate));
    assert.equal(rotate.readUInt32LE(9), rotate.length);
    assert.equal(rotate.readUInt16LE(17), 0x20);
    assert.equal(artificialRotate('binlog.000007', 7, 'none').length, rotate.length - 4);
    const beat = heartbeatEvent({ fileName: 'binlog.000007', position: 2 ** 33 }, 7, 'v2', 'crc32');
    assert.equal(beat[4], 41);
    assert.equal(beat.readUInt32LE(beat.length - 4), crcOf(beat));
    const old = heartbeatEvent({ fileName: 'binlog.000007', position: 1234 }, 7, 'v1', 'none');
    assert.equal(old.readUInt32LE(13), 1234);
    assert.equal(old.toString('latin1', 19), 'binlog.000007');
  });

  test('a resumed FORMAT_DESCRIPTION does not make the replica drop its temporary tables', () => {
    const event = Buffer.alloc(120, 3);
    event.writeUInt16LE(0x01, 17);
    const whole = sentFormatDescription(event, 'from-the-start');
    assert.equal(whole.readUInt16LE(17), 0);
    assert.equal(whole.readUInt32LE(71), 0x03030303);
    const resumed = sentFormatDescription(event, 'resumed');
    assert.equal(resumed.readUInt32LE(71), 0);
    assert.equal(resumed.readUInt32LE(116), crcOf(resumed));
    assert.equal(event.readUInt16LE(17), 1);
  });
});
