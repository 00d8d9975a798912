import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';
import { HEADER_BYTES } from '../../../src/binlog/event-header.ts';
import { EVENT } from '../../../src/binlog/event-types.ts';
import { type Located, locate } from '../../../src/binlog/locate.ts';
import { BinlogScanner } from '../../../src/binlog/scanner.ts';
import { formatGtid } from '../../../src/domain/gtid.ts';
import {
  type ForgedEvent,
  forge,
  formatDescription,
  header,
  previousGtids,
  query,
  rotate,
  rows,
  tableMap,
  transaction,
  UUID,
  written,
  xid,
} from './forge.ts';

const BEGIN = query('BEGIN');

/** A TRANSACTION_PAYLOAD that declares what it holds, or something else. */
function payload(
  content: Uint8Array,
  lies: { uncompressed?: number; compressed?: Uint8Array } = {},
): ForgedEvent {
  const compressed =
    lies.compressed ?? zstdCompressSync(content, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
  const length = (value: number) => {
    const bytes = Buffer.alloc(9);
    bytes[0] = 254;
    bytes.writeBigUInt64LE(BigInt(value), 1);
    return bytes;
  };
  const field = (id: number, value: Uint8Array) => Buffer.concat([Uint8Array.of(id, value.length), value]);
  const body = Buffer.concat([
    field(2, Uint8Array.of(0)),
    field(3, length(lies.uncompressed ?? content.length)),
    field(1, length(compressed.length)),
    Uint8Array.of(0),
    compressed,
  ]);
  return { type: EVENT.TRANSACTION_PAYLOAD, body };
}

/** The events of a compressed transaction: no checksums. */
function inside(...events: readonly ForgedEvent[]): Buffer {
  return Buffer.concat(events.map((event) => written(event, 0, 'none')));
}

function logOf(...transactions: readonly (readonly ForgedEvent[])[]): Buffer {
  const numbered = transactions.flatMap((events, index) => transaction(BigInt(index + 1), events));
  return forge([formatDescription(), previousGtids(), ...numbered, rotate()]);
}

async function found(log: Uint8Array, chunkBytes = 65_536): Promise<Located[]> {
  async function* chunks() {
    for (let at = 0; at < log.length; at += chunkBytes) {
      const chunk = Uint8Array.from(log.subarray(at, at + chunkBytes));
      yield chunk;
      chunk.fill(0xee);
    }
  }
  const all: Located[] = [];
  for await (const located of locate(chunks(), { binlog: 'binlog.000001' })) all.push(located);
  return all;
}

/** A compressed transaction that deletes rows of a given length, one an event; made without holding it. */
async function compressedRows(
  count: number,
  rowBytes: number,
): Promise<{ compressed: Buffer; uncompressed: number }> {
  const row = rows(EVENT.DELETE_ROWS, [0]);
  const deletion = row.body;
  Buffer.from(deletion.buffer, deletion.byteOffset).writeUInt32LE(rowBytes, deletion.length - 4);
  const size = HEADER_BYTES + deletion.length + rowBytes;
  const filler = Buffer.alloc(1_000_000, 0x71);
  let uncompressed = 0;
  function* content() {
    yield inside(BEGIN);
    for (let i = 0; i < count; i++) {
      yield inside(tableMap());
      yield Buffer.concat([header(row, size, 0), deletion]);
      for (let left = rowBytes; left > 0; left -= filler.length) yield filler.subarray(0, left);
    }
    yield inside(xid());
  }
  const counted = Readable.from(content()).map((part: Buffer) => {
    uncompressed += part.length;
    return part;
  });
  const compressed = await buffer(counted.pipe(createZstdCompress()));
  return { compressed, uncompressed };
}

describe('locate', () => {
  const log = logOf(
    [query('create table t(i int)')],
    [
      BEGIN,
      tableMap(),
      rows(EVENT.DELETE_ROWS, [1, 2, 3], { flags: 0 }),
      rows(EVENT.DELETE_ROWS, [4]),
      tableMap(9),
      rows(EVENT.UPDATE_ROWS, [1, 2, 3, 4], { id: 9 }),
      xid(),
    ],
    [query('DROP TABLE a, s2.b')],
    [
      payload(
        inside(
          BEGIN,
          tableMap(),
          rows(
            EVENT.DELETE_ROWS,
            Array.from({ length: 5000 }, (_, i) => i % 300),
          ),
          xid(),
        ),
      ),
    ],
    [BEGIN, query('delete from big where i > 5'), query('delete from big where i > 7'), xid()],
    [BEGIN, tableMap(), rows(EVENT.WRITE_ROWS, [1]), xid()],
    [query('drop database s')],
    [query('truncate t')],
    [query('alter table t drop column c')],
    [BEGIN, tableMap(), rows(EVENT.DELETE_ROWS, [2_000_000, 1, 1_500_000]), xid()],
  );

  it('names what was destroyed, where, how much and by which transaction', async () => {
    const all = await found(log);
    const short = all.map(({ op, tables, rows: count, gtid }) => [
      gtid === null ? null : formatGtid(gtid).slice(UUID.length + 1),
      op,
      count,
      tables.map(({ schema, name, rows: n }) => `${schema}.${name}:${n}`).join(' '),
    ]);
    assert.deepEqual(short, [
      ['2', 'delete', 4, 's.t:4'],
      ['2', 'update', 2, 's.t:2'],
      ['3', 'drop', null, 's.a:null s2.b:null'],
      ['4', 'delete', 5000, 's.t:5000'],
      ['5', 'delete', null, 's.big:null'],
      ['7', 'drop-database', null, 's.:null'],
      ['8', 'truncate', null, 's.t:null'],
      ['9', 'alter', null, 's.t:null'],
      ['10', 'delete', 3, 's.t:3'],
    ]);
    assert.deepEqual(all.map(({ statement }) => statement)[2], 'DROP TABLE a, s2.b');
    for (const { position, binlog, committedAtMicros } of all) {
      assert.equal(log[position + 4], EVENT.GTID);
      assert.equal(binlog, 'binlog.000001');
      assert.equal(committedAtMicros, 1_795_207_901_417_035n);
    }
  });

  it('finds the same however the bytes are cut', async () => {
    const expected = await found(log, log.length);
    for (const size of [997, 4099, 1_000_003]) assert.deepEqual(await found(log, size), expected);
  });

  it('finds DROP in a log that is still being written', async () => {
    const all = await found(log.subarray(0, log.length - 3_000_000));
    assert.equal(all.at(-1)?.op, 'alter');
  });

  it('opens a compressed transaction of 600 MB in some KB with bounded memory', async () => {
    const { compressed, uncompressed } = await compressedRows(6, 100_000_000);
    const bomb = logOf(
      [payload(new Uint8Array(0), { compressed, uncompressed })],
      [query('drop table after')],
    );
    assert.ok(bomb.length < 100_000, `${bomb.length} bytes`);
    const before = process.memoryUsage().rss;
    const all = await found(bomb);
    const grown = process.memoryUsage().rss - before;
    assert.deepEqual(
      all.map(({ op, rows: count }) => [op, count]),
      [
        ['delete', 6],
        ['drop', null],
      ],
    );
    assert.ok(grown < 150 * 1024 ** 2, `${grown} bytes more`);
  });

  it('refuses a payload that holds more than it declares, less, something else, or a part', async () => {
    const content = inside(BEGIN, tableMap(), rows(EVENT.DELETE_ROWS, [50_000]), xid());
    const compressed = zstdCompressSync(content);
    const lies: readonly ForgedEvent[] = [
      payload(content, { uncompressed: content.length - 1 }),
      payload(content, { uncompressed: content.length + 1 }),
      payload(content, { compressed: compressed.subarray(0, compressed.length - 3) }),
      payload(content, { compressed: Buffer.alloc(200, 7) }),
      payload(content, { uncompressed: 2 ** 50 }),
      payload(content.subarray(0, content.length - 5)),
      payload(Buffer.from('no events at all, but some text')),
    ];
    for (const lie of lies)
      await assert.rejects(found(logOf([lie])), { code: 'BinlogCorrupt', kind: 'corrupt' });
  });

  it('says in the report what a payload declares, without opening it', () => {
    const facts: (number | null)[] = [];
    const scanner = new BinlogScanner({
      file: 'log',
      visitor: { transaction: ({ uncompressedBytes }) => facts.push(uncompressedBytes) },
    });
    scanner.push(logOf([payload(new Uint8Array(9), { uncompressed: 2 ** 45 })], [BEGIN, xid()]));
    const { payloads, largestPayloadBytes, problems } = scanner.end();
    assert.deepEqual(
      { payloads, largestPayloadBytes, problems, facts },
      { payloads: 1, largestPayloadBytes: 2 ** 45, problems: [], facts: [2 ** 45, null] },
    );
  });
});
