import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { runningChecksum } from '../../../src/storage/checksum.ts';
import { crc32cOf } from '../../contract/store-bodies.ts';

async function inPieces(kind: 'crc32' | 'crc32c', bytes: Uint8Array, pieceBytes: number): Promise<string> {
  const running = await runningChecksum(kind);
  for (let at = 0; at < bytes.length; at += pieceBytes) running.update(bytes.subarray(at, at + pieceBytes));
  return running.finish();
}

test('CRC-32C has the values of RFC 3720, appendix B.4', async () => {
  const samples: [Uint8Array, string][] = [
    [new Uint8Array(32), '8a9136aa'],
    [new Uint8Array(32).fill(0xff), '62a8ab43'],
    [Uint8Array.from({ length: 32 }, (_, index) => index), '46dd794e'],
    [Uint8Array.from({ length: 32 }, (_, index) => 31 - index), '113fdb5c'],
    [Buffer.from('123456789'), 'e3069283'],
    [new Uint8Array(0), '00000000'],
  ];
  for (const [bytes, expected] of samples) {
    assert.equal(await inPieces('crc32c', bytes, 7), expected);
    assert.equal(crc32cOf(bytes), expected, 'the reference of the other tests');
  }
});

test('however the bytes are cut, the checksum is that of the whole, in 8 digits', async () => {
  const bytes = randomBytes(100_003);
  for (const pieceBytes of [1, 13, 4096, bytes.length]) {
    assert.equal(await inPieces('crc32c', bytes, pieceBytes), crc32cOf(bytes));
    assert.equal(await inPieces('crc32', bytes, pieceBytes), crc32(bytes).toString(16).padStart(8, '0'));
  }
});
