import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EVENT } from '../../../src/binlog/event-types.ts';
import { AppError } from '../../../src/domain/errors.ts';
import type { DumpEnd } from '../../../src/mysql/dump/dump-end.ts';
import { type DumpedFrom, LogBytes } from '../../../src/mysql/dump/log-bytes.ts';
import { dumpRequestPacket } from '../../../src/mysql/dump/request.ts';
import { parseCommand } from '../../../src/replay/protocol/commands.ts';
import { Random } from '../domain/random.ts';

const ARTIFICIAL = 0x20;
const FULL = 0xffffff;

function event(type: number, bodyBytes: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(19 + bodyBytes);
  for (let at = 19; at < bytes.length; at += 1) bytes[at] = (at * 7 + type) & 0xff;
  bytes.writeUInt8(type, 4);
  bytes.writeUInt32LE(bytes.length, 9);
  bytes.writeUInt16LE(flags, 17);
  return bytes;
}

const ok = (bytes: Buffer) => Buffer.concat([Buffer.from([0]), bytes]);
const MADE_ROTATE = ok(event(EVENT.ROTATE, 25, ARTIFICIAL));
const FORMAT = event(EVENT.FORMAT_DESCRIPTION, 104);
const EOF = Buffer.from([0xfe, 0, 0, 2, 0]);

/** Frames payloads as MySQL does: parts of at most 2^24 - 1 bytes, and an empty one after a last full part. */
function framed(payloads: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  let sequence = 1;
  for (const payload of payloads) {
    for (let at = 0; at <= payload.length; at += FULL) {
      const part = payload.subarray(at, at + FULL);
      const header = Buffer.alloc(4);
      header.writeUIntLE(part.length, 0, 3);
      header.writeUInt8(sequence & 0xff, 3);
      sequence += 1;
      parts.push(header, part);
      if (part.length < FULL) break;
    }
  }
  return Buffer.concat(parts);
}

/** What comes out where the stream arrives in pieces of the given sizes, taken in turn. */
function received(
  stream: Buffer,
  sizes: readonly number[],
  from: DumpedFrom = 'start',
): { readonly bytes: Buffer; readonly ended: DumpEnd | null } {
  const out: Buffer[] = [];
  const log = new LogBytes(from, (bytes) => out.push(Buffer.from(bytes)));
  for (let at = 0, turn = 0; at < stream.length && log.ended === null; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    log.push(Buffer.from(stream.subarray(at, at + size)));
    at += size;
  }
  return { bytes: Buffer.concat(out), ended: log.ended };
}

const malformed = (error: unknown) =>
  error instanceof AppError && error.code === 'DumpMalformed' && error.kind === 'unavailable';

describe('the bytes of a log', () => {
  const events = [FORMAT, event(EVENT.PREVIOUS_GTIDS, 12), event(EVENT.STOP, 0), event(EVENT.QUERY, 1000)];
  const stream = framed([
    MADE_ROTATE,
    ...events.map(ok),
    ok(event(EVENT.HEARTBEAT, 13)),
    ok(event(EVENT.HEARTBEAT_V2, 20)),
    ok(event(EVENT.ROTATE, 25)),
    MADE_ROTATE,
    ok(FORMAT),
  ]);
  const whole = Buffer.concat([...events, event(EVENT.ROTATE, 25)]);

  test('come out however they arrive, without what the sender made, and end where the next log begins', () => {
    const random = new Random(20);
    for (let size = 1; size <= 64; size += 1) {
      assert.deepEqual(received(stream, [size]), { bytes: whole, ended: { kind: 'next-log' } });
    }
    for (let round = 0; round < 300; round += 1) {
      const sizes = Array.from({ length: 7 }, () => 1 + random.int(200));
      assert.deepEqual(received(stream, sizes).bytes, whole, sizes.join());
    }
  });

  test('leave out the FORMAT_DESCRIPTION where reading begins in the middle', () => {
    assert.deepEqual(received(stream, [50], 'middle').bytes, whole.subarray(FORMAT.length));
  });

  test('may be events of any size, also at the borders of packets', () => {
    for (const bodyBytes of [FULL - 22, FULL - 21, FULL - 20, FULL - 19, 2 * FULL - 20, 2 * FULL]) {
      const large = event(EVENT.WRITE_ROWS, bodyBytes);
      const sent = framed([MADE_ROTATE, ok(FORMAT), ok(large), ok(event(EVENT.XID, 8)), EOF]);
      const { bytes, ended } = received(sent, [65_536, 4, 1]);
      assert.ok(bytes.equals(Buffer.concat([FORMAT, large, event(EVENT.XID, 8)])), `${bodyBytes}`);
      assert.deepEqual(ended, { kind: 'no-more' });
    }
  });

  test('end with what the server says', () => {
    const said = Buffer.concat([Buffer.from([0xff, 0xd4, 0x04]), Buffer.from('#HY000Could not find it')]);
    for (const size of [1, 5, 1000]) {
      const { ended } = received(framed([said]), [size]);
      assert.deepEqual(ended, { kind: 'error', errno: 1236, message: 'Could not find it' });
    }
  });
});

describe('what is no dump', () => {
  const cases: readonly [string, Buffer][] = [
    ['a log that does not begin with ROTATE', framed([ok(FORMAT)])],
    ['a log without FORMAT_DESCRIPTION', framed([MADE_ROTATE, ok(event(EVENT.QUERY, 9))])],
    ['a packet that is longer than its event', framed([Buffer.concat([MADE_ROTATE, Buffer.alloc(1)])])],
    ['a packet that is shorter than its event', framed([MADE_ROTATE.subarray(0, -1)])],
    ['a packet that is shorter than a header', framed([MADE_ROTATE.subarray(0, 12)])],
    ['an empty packet', framed([Buffer.alloc(0)])],
    [
      'a packet out of turn',
      framed([MADE_ROTATE])
        .subarray(0)
        .map((byte, at) => (at === 3 ? 9 : byte)) as Buffer,
    ],
    ['a result set', framed([Buffer.from([1])])],
    ['an endless error', framed([Buffer.alloc(20_000, 0xff)])],
  ];
  for (const [name, stream] of cases) {
    test(`is refused: ${name}`, () => {
      for (const size of [1, 3, 100_000])
        assert.throws(() => received(Buffer.from(stream), [size]), malformed);
    });
  }

  test('takes no memory for what a length says', () => {
    const head = event(EVENT.WRITE_ROWS, 0);
    head.writeUInt32LE(0xffff_ffff, 9);
    const out: number[] = [];
    const log = new LogBytes('start', (bytes) => out.push(bytes.length));
    const start = framed([MADE_ROTATE, ok(FORMAT)]);
    log.push(Buffer.concat([start, Buffer.from([0xff, 0xff, 0xff, 3, 0]), head]));
    for (let part = 0; part < 100; part += 1) log.push(Buffer.alloc(1000));
    assert.equal(
      out.reduce((sum, bytes) => sum + bytes, 0),
      FORMAT.length + 19 + 100_000,
    );
  });
});

test('the request says log, 64-bit position and name of the reader, and asks to leave nothing out', () => {
  const position = 2 ** 32 + 1234;
  const packet = dumpRequestPacket({ binlog: 'binlog.000042', position, serverId: 4_000_000_000 });
  assert.equal(packet.readUIntLE(0, 3), packet.length - 4);
  const command = parseCommand(packet.subarray(4));
  assert.equal(command.kind, 'dump-gtid');
  assert.ok(command.kind === 'dump-gtid' && command.has.isEmpty);
  assert.equal(command.kind === 'dump-gtid' && command.serverId, 4_000_000_000);
  assert.equal(command.kind === 'dump-gtid' && command.atEnd, 'end-of-file');
  assert.ok(packet.includes('binlog.000042'));
  assert.equal(packet.readBigUInt64LE(4 + 11 + 'binlog.000042'.length), BigInt(position));
});
