import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteReader } from '../../../src/binlog/byte-reader.ts';
import { readValueLength } from '../../../src/binlog/column-lengths.ts';
import { EventFrame, viewOf } from '../../../src/binlog/event-frame.ts';
import { EVENT, eventName, isKnownEvent } from '../../../src/binlog/event-types.ts';
import { decodeGtidEvent } from '../../../src/binlog/gtid-event.ts';
import { GtidHistory } from '../../../src/binlog/gtid-history.ts';
import { decodePreviousGtids } from '../../../src/binlog/previous-gtids.ts';
import { RowCounter } from '../../../src/binlog/rows.ts';
import { readVarInt, readVarUint } from '../../../src/binlog/serialization.ts';
import { UuidFormatter } from '../../../src/binlog/uuid.ts';
import { formatGtid, parseGtid } from '../../../src/domain/gtid.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { gtid, UUID } from './forge.ts';

const PLACE = { file: 'bytes', offset: 0, type: null };

function reader(bytes: Uint8Array): ByteReader {
  return new ByteReader(bytes, 0, bytes.length, PLACE);
}

function frame(type: number, bytes: Uint8Array): EventFrame {
  const made = new EventFrame('bytes', 0);
  return Object.assign(made, {
    type,
    bytes,
    view: viewOf(bytes),
    bodyEnd: bytes.length,
    bodyBytes: bytes.length,
  });
}

/** Source: MySQL variable_length_integers.h, write_varlen_bytes_unsigned. */
function writeVar(value: bigint): Uint8Array {
  const bits = value === 0n ? 0 : value.toString(2).length;
  const count = ((bits * 575) >> 12) + 1;
  const out = new Uint8Array(count);
  out[0] = Number((((1n << BigInt(count - 1)) - 1n) | (value << BigInt(count))) & 0xffn);
  let rest = value >> BigInt(count === 9 ? 0 : 8 - count);
  for (let i = 1; i < count; i++) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}

describe("integers of MySQL's serialization library", () => {
  it('reads the examples of its documentation', () => {
    assert.equal(readVarUint(reader(Uint8Array.of(0xfb, 0xff, 0x07))), 65535n);
    assert.equal(readVarInt(reader(Uint8Array.of(0xf3, 0xff, 0x0f))), 65535n);
    assert.equal(readVarInt(reader(Uint8Array.of(0xeb, 0xff, 0x0f))), -65535n);
    assert.equal(readVarInt(reader(Uint8Array.of(0xfb, 0xff, 0x0f))), -65536n);
  });

  it('reads what the writer writes, at every length', () => {
    for (let bit = 0n; bit <= 64n; bit++) {
      for (const value of [1n << bit, (1n << bit) - 1n, (1n << bit) + 1n]) {
        if (value >= 1n << 64n) continue;
        assert.equal(readVarUint(reader(writeVar(value))), value);
      }
    }
  });

  it('refuses an integer that is cut', () => {
    assert.throws(() => readVarUint(reader(Uint8Array.of(0xff, 1, 2))), { code: 'BinlogCorrupt' });
    assert.throws(() => readVarUint(reader(new Uint8Array(0))), { code: 'BinlogCorrupt' });
  });
});

/** A tagged GTID event with these fields: id and value already written. */
function tagged(fields: readonly (readonly [number, Uint8Array])[], lastNeeded = 0): Uint8Array {
  const message = Buffer.concat([
    writeVar(BigInt(lastNeeded)),
    ...fields.flatMap(([id, value]) => [writeVar(BigInt(id)), value]),
  ]);
  for (let size = message.length + 2; ; size++) {
    const whole = Buffer.concat([writeVar(1n), writeVar(BigInt(size)), message]);
    if (whole.length === size) return whole;
  }
}

const UUID_FIELD = Buffer.concat(
  Array.from(Buffer.from(UUID.replaceAll('-', ''), 'hex'), (byte) => writeVar(BigInt(byte))),
);
const FIELDS: readonly (readonly [number, Uint8Array])[] = [
  [0, writeVar(1n)],
  [1, UUID_FIELD],
  [2, writeVar(42n << 1n)],
  [3, Buffer.concat([writeVar(3n), Buffer.from('tag')])],
  [4, writeVar(6n << 1n)],
  [5, writeVar(7n << 1n)],
  [6, writeVar(1_795_207_901_417_035n)],
  [8, writeVar(5_000_000_000n)],
  [9, writeVar(90_704n)],
];

describe('GTID events', () => {
  it('reads a tagged one, and skips fields of a later version that may be skipped', () => {
    for (const more of [[], [[30, writeVar(1n)]] as const]) {
      const event = decodeGtidEvent(
        frame(EVENT.GTID_TAGGED, tagged([...FIELDS, ...more])),
        new UuidFormatter(),
      );
      assert.equal(event.gtid === null ? null : formatGtid(event.gtid), `${UUID}:tag:42`);
      assert.deepEqual(
        [
          event.mayHoldStatements,
          event.lastCommitted,
          event.sequenceNumber,
          event.committedAtMicros,
          event.originalCommittedAtMicros,
          event.transactionBytes,
        ],
        [true, 6n, 7n, 1_795_207_901_417_035n, 1_795_207_901_417_035n, 5_000_000_000],
      );
    }
  });

  it('refuses a tagged one whose fields cannot be read', () => {
    const bad: readonly Uint8Array[] = [
      tagged(FIELDS, 31),
      tagged([...FIELDS].reverse()),
      tagged(FIELDS.filter(([id]) => id !== 1)),
      tagged(FIELDS.filter(([id]) => id !== 2)),
      tagged(
        FIELDS.map(([id, value]) => [
          id,
          id === 3 ? Buffer.concat([writeVar(2n), Buffer.from('T!')]) : value,
        ]),
      ),
      tagged(FIELDS.map(([id, value]) => [id, id === 6 ? writeVar(2n ** 63n) : value])),
      tagged(FIELDS).subarray(0, 30),
      Buffer.concat([writeVar(2n), tagged(FIELDS).subarray(1)]),
      Buffer.concat([tagged(FIELDS), Uint8Array.of(0)]),
    ];
    for (const bytes of bad) {
      assert.throws(() => decodeGtidEvent(frame(EVENT.GTID_TAGGED, bytes), new UuidFormatter()), {
        code: 'BinlogCorrupt',
      });
    }
  });

  it('reads commit times up to the last bit, and the original one where there are two', () => {
    for (const micros of [0n, 2n ** 53n + 1n, 2n ** 55n - 1n]) {
      const { body } = gtid({ micros });
      assert.equal(decodeGtidEvent(frame(EVENT.GTID, body), new UuidFormatter()).committedAtMicros, micros);
    }
    const { body } = gtid({ micros: 9n });
    const two = Buffer.concat([body, Buffer.from([7, 0, 0, 0, 0, 0, 0])]);
    two.writeUInt8(0x80, body.length - 1);
    const event = decodeGtidEvent(frame(EVENT.GTID, two), new UuidFormatter());
    assert.deepEqual([event.committedAtMicros, event.originalCommittedAtMicros], [9n, 7n]);
  });
});

describe('PREVIOUS_GTIDS', () => {
  const interval = (from: bigint, end: bigint) => {
    const bytes = Buffer.alloc(16);
    bytes.writeBigInt64LE(from);
    bytes.writeBigInt64LE(end, 8);
    return bytes;
  };
  const count = (value: number) => interval(BigInt(value), 0n).subarray(0, 8);
  const uuid = Buffer.from(UUID.replaceAll('-', ''), 'hex');

  it('reads sets with and without tags', () => {
    const plain = Buffer.concat([count(1), uuid, count(2), interval(1n, 5n), interval(8n, 9n)]);
    assert.equal(decodePreviousGtids(frame(EVENT.PREVIOUS_GTIDS, plain)).toString(), `${UUID}:1-4:8`);
    const head = Buffer.from([1, 2, 0, 0, 0, 0, 0, 1]);
    const tag = Buffer.concat([writeVar(3n), Buffer.from('abc')]);
    const withTags = Buffer.concat([
      head,
      uuid,
      writeVar(0n),
      count(1),
      interval(1n, 5n),
      uuid,
      tag,
      count(1),
      interval(7n, 8n),
    ]);
    assert.equal(decodePreviousGtids(frame(EVENT.PREVIOUS_GTIDS, withTags)).toString(), `${UUID}:1-4:abc:7`);
  });

  it('refuses what is no set', () => {
    const bad = [
      new Uint8Array(3),
      count(1),
      Buffer.concat([count(0), Uint8Array.of(1)]),
      Buffer.concat([count(1), uuid, count(1), interval(5n, 5n)]),
      Buffer.concat([count(1), uuid, count(1), interval(0n, 5n)]),
      Buffer.concat([count(1), uuid, count(2), interval(3n, 5n), interval(4n, 9n)]),
      Buffer.concat([count(1), uuid, count(2 ** 40), interval(3n, 5n)]),
      Buffer.from([0, 0, 0, 0, 0, 0, 0, 9]),
    ];
    for (const bytes of bad) {
      assert.throws(() => decodePreviousGtids(frame(EVENT.PREVIOUS_GTIDS, bytes)), { code: 'BinlogCorrupt' });
    }
  });
});

describe('GtidHistory', () => {
  it('collects what a set collects and finds each repetition, in any order', () => {
    let seed = 11;
    const random = (below: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    for (let round = 0; round < 200; round++) {
      const previous = GtidSet.parse(`${UUID}:1-${1 + random(5)}:${10 + random(4)}`);
      const history = new GtidHistory(previous);
      const added = new Set<string>();
      for (let i = 0; i < 60; i++) {
        const text = `${UUID}:${random(3) === 0 ? 'tag:' : ''}${1 + random(40)}`;
        const parsed = parseGtid(text);
        const expected = previous.contains(parsed)
          ? 'in PREVIOUS_GTIDS'
          : added.has(text)
            ? 'in this file'
            : 'new';
        assert.equal(history.add(parsed), expected);
        if (expected === 'new') added.add(text);
      }
      assert.equal(history.build().toString(), GtidSet.parse([...added].join(',')).toString());
    }
  });
});

describe('column lengths', () => {
  const CASES: readonly (readonly [string, number, readonly number[], number])[] = [
    ['TINY', 1, [], 1],
    ['BIGINT', 8, [], 8],
    ['DOUBLE', 5, [8], 8],
    ['VARCHAR(255)', 15, [255, 0], -1],
    ['VARCHAR(256)', 15, [0, 1], -2],
    ['BIT(9)', 16, [1, 1], 2],
    ['BIT(64)', 16, [0, 8], 8],
    ['TIME(3)', 19, [3], 5],
    ['DATETIME(6)', 18, [6], 8],
    ['TIMESTAMP', 17, [0], 4],
    ['DECIMAL(65,30)', 246, [65, 30], 30],
    ['DECIMAL(9,0)', 246, [9, 0], 4],
    ['ENUM', 254, [247, 2], 2],
    ['SET', 254, [248, 8], 8],
    ['CHAR(10)', 254, [254, 40], -1],
    ['CHAR(255) utf8mb4', 254, [0xce, 0xfc], -2],
    ['LONGBLOB', 252, [4], -4],
    ['JSON', 245, [4], -4],
    ['VECTOR', 242, [4], -4],
    ['array of DECIMAL', 20, [246, 10, 2], -4],
  ];
  for (const [name, type, metadata, length] of CASES) {
    it(name, () => {
      const bytes = reader(Uint8Array.from(metadata));
      assert.equal(readValueLength(type, bytes), length);
      assert.equal(bytes.remaining, 0);
    });
  }

  it('refuses a type that does not exist', () => {
    assert.throws(() => readValueLength(200, reader(new Uint8Array(4))), { code: 'BinlogCorrupt' });
  });
});

describe('row counting', () => {
  const table = { tableId: 7, schema: 's', name: 't', lengths: [4, -1, -4, 0], jsonColumns: 0 };
  const tables = new Map([[7, table]]);
  const row = Buffer.concat([
    Uint8Array.of(0b0000),
    Buffer.alloc(4),
    Uint8Array.of(3, 1, 2, 3),
    Buffer.from([5, 0, 0, 0, 1, 2, 3, 4, 5]),
  ]);
  const nulls = Uint8Array.of(0b1111);
  const head = Buffer.from([7, 0, 0, 0, 0, 0, 1, 0, 4, 0, 9, 9, 4, 0b1111]);
  const count = (body: Buffer, step: number) => {
    const counter = new RowCounter({
      place: { file: 'rows', offset: 0, type: EVENT.DELETE_ROWS },
      bodyBytes: body.length,
      tables,
    });
    for (let at = 0; at < body.length; at += step)
      counter.push(Uint8Array.from(body.subarray(at, at + step)), 0, Math.min(step, body.length - at));
    return counter.finish().rows;
  };

  it('is the same in pieces of any size', () => {
    const body = Buffer.concat([head, row, nulls, row, nulls, row]);
    for (let step = 1; step <= body.length; step++) assert.equal(count(body, step), 5, `pieces of ${step}`);
  });

  it('refuses rows without columns that never end', () => {
    const none = Buffer.from([7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 4, 0, 1, 2, 3]);
    assert.throws(() => count(none, 100), { code: 'BinlogCorrupt' });
    assert.equal(count(none.subarray(0, 12), 100), 0);
  });

  it('refuses rows that end too early or too late', () => {
    const body = Buffer.concat([head, row, row]);
    for (let length = 0; length < body.length; length++) {
      const whole = length === head.length || length === head.length + row.length;
      if (!whole)
        assert.throws(() => count(body.subarray(0, length), 7), { code: 'BinlogCorrupt' }, `${length} bytes`);
    }
  });
});

describe('event types', () => {
  it('have names, and unknown ones have their number', () => {
    assert.equal(eventName(42), 'GTID_TAGGED');
    assert.equal(eventName(43), 'UNKNOWN(43)');
    assert.deepEqual([0, 6, 42, 43].map(isKnownEvent), [false, false, true, false]);
  });
});
