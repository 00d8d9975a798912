import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { ChecksumRow } from '../../../src/binlog/checksum-row.ts';
import { EVENT } from '../../../src/binlog/event-types.ts';
import type { ScanReport, TransactionFact } from '../../../src/binlog/facts.ts';
import { scanStream } from '../../../src/binlog/scan.ts';
import { BinlogScanner } from '../../../src/binlog/scanner.ts';
import {
  type ForgedEvent,
  forge,
  formatDescription,
  gtid,
  header,
  previousGtids,
  query,
  rotate,
  rows,
  tableMap,
  transaction,
  written,
  xid,
} from './forge.ts';

const BEGIN = query('BEGIN');

function change(lengths: readonly number[]): ForgedEvent[] {
  return [BEGIN, tableMap(), rows(EVENT.WRITE_ROWS, lengths), xid()];
}

function sampleLog(): Buffer {
  return forge([
    formatDescription(),
    previousGtids(2n),
    ...transaction(3n, change([5, 600])),
    ...transaction(4n, [query('create event e on schedule every 1 day do select 1')]),
    ...transaction(5n, change([2_500_000])),
    ...transaction(6n, change([1_100_000, 10])),
    ...transaction(7n, change([1])),
    rotate(),
  ]);
}

/** Text of a report and of all its facts, for comparing. */
function scanned(bytes: Uint8Array, cut: (at: number) => number): string {
  const facts: TransactionFact[] = [];
  const scanner = new BinlogScanner({ file: 'log', visitor: { transaction: (fact) => facts.push(fact) } });
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + cut(at));
    // A fresh copy that is overwritten: nothing may be kept of a chunk.
    const chunk = Uint8Array.from(bytes.subarray(at, end));
    scanner.push(chunk);
    chunk.fill(0xee);
    at = end;
  }
  const report: ScanReport = scanner.end();
  return JSON.stringify({ report, facts }, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
}

function isRefused(row: ChecksumRow): boolean {
  return row.state === 'unverified';
}

describe('the scanner reads a stream', () => {
  it('says the same however the bytes are cut into chunks', () => {
    const bytes = sampleLog();
    const whole = scanned(bytes, () => bytes.length);
    assert.match(whole, /"closed":true.*"eventDdl":1/);
    const small = forge([
      formatDescription(),
      previousGtids(2n),
      ...transaction(3n, change([5, 600])),
      ...transaction(4n, change([7])),
      rotate(),
    ]);
    const wholeSmall = scanned(small, () => small.length);
    for (let size = 1; size < 200; size++)
      assert.equal(
        scanned(small, () => size),
        wholeSmall,
        `chunks of ${size}`,
      );
    for (const size of [4096, 65_536, 999_983, 1_048_576])
      assert.equal(
        scanned(bytes, () => size),
        whole,
        `chunks of ${size}`,
      );
    for (let border = bytes.length - 3000; border < bytes.length; border += 7) {
      assert.equal(
        scanned(bytes, (at) => (at === 0 ? border : bytes.length)),
        whole,
        `cut at ${border}`,
      );
    }
  });

  it('finds a flipped bit in every part of a large event, whatever the chunks', () => {
    const bytes = sampleLog();
    const start = bytes.indexOf('q'.repeat(100_000));
    for (const at of [
      start - 30,
      start,
      start + 1_048_576,
      start + 2_400_000,
      start + 2_500_000,
      start + 2_500_003,
    ]) {
      bytes[at] = (bytes[at] as number) ^ 4;
      for (const size of [65_536, 1_000_003, bytes.length]) {
        assert.throws(
          () => scanned(bytes, () => size),
          { code: 'BinlogCorrupt' },
          `byte ${at} in chunks of ${size}`,
        );
      }
      bytes[at] = (bytes[at] as number) ^ 4;
    }
  });

  it('verifies a row of checksums as it would verify each', () => {
    const bytes = sampleLog().subarray(0, 1700);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const start = 4 + view.getUint32(13, true);
    const first = view.getUint32(4 + 13, true);
    const row = new ChecksumRow();
    row.verify(view, bytes, first);
    const end = row.end;
    assert.ok(row.state === 'verified');
    assert.ok(end > first + 200, `${start}: verified up to ${end}`);
    for (let at = first; at < end; at++) {
      for (let bit = 0; bit < 8; bit++) {
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        row.verify(view, bytes, first);
        assert.ok(isRefused(row) || row.end <= at, `bit ${bit} of byte ${at}: verified up to ${row.end}`);
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
      }
    }
  });

  it('scans a transaction and a file beyond 4 GiB, with bounded memory', async () => {
    const before = process.memoryUsage().rss;
    let peak = 0;
    const report = await scanStream(
      watched(hugeLog(), () => {
        peak = Math.max(peak, process.memoryUsage().rss);
      }),
      { file: 'huge' },
    );
    assert.deepEqual(report.problems, []);
    assert.equal(report.closed, true);
    assert.equal(report.transactions, 2);
    assert.ok(report.lengthBytes > 4.3 * 1024 ** 3);
    assert.ok(peak - before < 150 * 1024 ** 2, `${peak - before} bytes more`);
  });
});

async function* watched(input: AsyncIterable<Uint8Array>, look: () => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of input) {
    yield chunk;
    look();
  }
}

const BIG_BODY = 900 * 1024 ** 2;
const BIG_EVENTS = 5;

/** A log of 4.4 GiB that exists only chunk by chunk: one transaction of large rows, and a small one. */
async function* hugeLog(): AsyncGenerator<Uint8Array> {
  const small = [BEGIN, tableMap()];
  const sizes = [...small, xid()].map(({ body }) => body.length + 23);
  const bigSize = BIG_BODY + 23;
  const length = (own: number) =>
    BigInt(own + sizes.reduce((sum, size) => sum + size, 0) + bigSize * BIG_EVENTS);
  const opener = gtid({ number: 1n, bytes: length(gtid({ bytes: 0n }).body.length + 23) });
  const head = forge([formatDescription(), previousGtids(), opener, ...small]);
  yield head;
  let offset = head.length;
  const row = rows(EVENT.WRITE_ROWS, [], { flags: 0 });
  const filler = Buffer.alloc(4 * 1024 ** 2, 0x71);
  for (let i = 0; i < BIG_EVENTS; i++) {
    const start = Buffer.concat([header(row, bigSize, offset + bigSize), row.body]);
    yield start;
    let crc = crc32(start);
    for (let left = BIG_BODY - row.body.length; left > 0; ) {
      const part = filler.subarray(0, Math.min(left, filler.length));
      crc = crc32(part, crc);
      yield part;
      left -= part.length;
    }
    const footer = Buffer.alloc(4);
    footer.writeUInt32LE(crc);
    yield footer;
    offset += bigSize;
  }
  yield* tail(offset);
}

/** The end of the large transaction, a small one, ROTATE, with positions beyond 2^32. */
async function* tail(from: number): AsyncGenerator<Uint8Array> {
  let offset = from;
  for (const event of [xid(), ...transaction(2n, change([3])), rotate()]) {
    const bytes = written(event, offset);
    offset += bytes.length;
    yield bytes;
  }
}
