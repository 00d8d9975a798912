import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { startArchiveSource } from '../../../src/replay/archive-source.ts';
import type { SourceNotice } from '../../../src/replay/connection.ts';
import { askForDump, type Received } from './archive-client.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const LOGIN = { user: 'replay', password: 'right' } as const;

/** A binlog as a server writes it, as far as a sender looks at it. */
function makeBinlog(
  bodies: readonly (readonly Buffer[])[],
  checksum: 0 | 1,
  last: 'rotate' | 'stop' = 'rotate',
): { file: Buffer; events: Buffer[] } {
  const events: Buffer[] = [];
  let offset = 4;
  const add = (type: number, body: Buffer, crc: 0 | 1) => {
    const event = Buffer.alloc(19 + body.length + 4 * crc);
    event.writeUInt8(type, 4);
    event.writeUInt32LE(1, 5);
    event.writeUInt32LE(event.length, 9);
    event.writeUInt32LE(offset + event.length, 13);
    body.copy(event, 19);
    if (crc === 1) event.writeUInt32LE(crc32(event.subarray(0, -4)), event.length - 4);
    events.push(event);
    offset += event.length;
  };
  const format = Buffer.alloc(2 + 50 + 4 + 1 + 41 + 1);
  format.writeUInt16LE(4);
  format.write('9.7.4', 2);
  format[56] = 19;
  format[format.length - 1] = checksum;
  add(15, format, 1);
  add(35, Buffer.alloc(8), checksum);
  bodies.forEach((transaction, index) => {
    const gtid = Buffer.alloc(42);
    Buffer.from(UUID.replaceAll('-', ''), 'hex').copy(gtid, 1);
    gtid.writeBigInt64LE(BigInt(index + 1), 17);
    gtid[25] = 2;
    add(33, gtid, checksum);
    for (const body of transaction) add(30, body, checksum);
  });
  if (last === 'stop') add(3, Buffer.alloc(0), checksum);
  else add(4, Buffer.from('\x04\0\0\0\0\0\0\0binlog.000003'), checksum);
  return { file: Buffer.concat([Buffer.from([0xfe, 0x62, 0x69, 0x6e]), ...events]), events };
}

async function serve(
  file: Buffer,
  send: string,
  chunkBytes: number,
  lengthBytes = file.length,
): Promise<Received & { notices: SourceNotice[] }> {
  const notices: SourceNotice[] = [];
  const open = async function* () {
    for (let at = 0; at < file.length; at += chunkBytes) yield file.subarray(at, at + chunkBytes);
  };
  const segment = { serverUuid: UUID, binlog: 'binlog.000002', lengthBytes, send: GtidSet.parse(send), open };
  const source = await startArchiveSource({
    segments: [segment],
    listen: { host: '127.0.0.1', port: 0 },
    ...LOGIN,
    onNotice: (notice) => notices.push(notice),
  });
  try {
    return { ...(await askForDump({ port: source.port, ...LOGIN })), notices };
  } finally {
    await source.close();
  }
}

const SMALL = [[Buffer.from('first')], [Buffer.from('second'), Buffer.from('more')], [Buffer.from('third')]];

describe('what a replica receives', () => {
  test('is the same however the store cuts its bytes, and without ROTATE', async () => {
    for (const [checksum, last] of [
      [0, 'rotate'],
      [1, 'rotate'],
      [0, 'stop'],
      [1, 'stop'],
    ] as const) {
      const { file, events } = makeBinlog(SMALL, checksum, last);
      for (const chunkBytes of [1, 7, 19, 64, file.length]) {
        const received = await serve(file, `${UUID}:1-3`, chunkBytes);
        assert.deepEqual(received.end, { kind: 'eof' });
        assert.deepEqual(received.events.slice(1), events.slice(0, -1));
        assert.equal(received.events[0]?.readUInt16LE(17), 0x20);
      }
    }
  });

  test('is only the planned transactions, whole', async () => {
    const { file, events } = makeBinlog(SMALL, 1);
    const received = await serve(file, `${UUID}:2`, 50);
    assert.deepEqual(received.events.slice(2), [events[1], events[4], events[5], events[6]]);
  });

  test('events around 1 MiB and 16 MiB arrive whole', async () => {
    const sizes = [
      2 ** 20 - 23,
      2 ** 20 - 22,
      2 ** 24 - 25,
      2 ** 24 - 24,
      2 ** 24 - 2,
      2 * (2 ** 24 - 1) - 24,
    ];
    const bodies = sizes.map((size) => [Buffer.alloc(size, size % 251)]);
    for (const checksum of [0, 1] as const) {
      const { file, events } = makeBinlog(bodies, checksum);
      const received = await serve(file, `${UUID}:1-${sizes.length}`, 128 * 1024);
      assert.deepEqual(received.end, { kind: 'eof' });
      assert.equal(received.events.length, events.length);
      assert.ok(received.events.slice(1).every((event, index) => event.equals(events[index] as Buffer)));
    }
  });
});

describe('nothing damaged is received', () => {
  test('any flipped bit of a file ends the dump before the event that holds it', async () => {
    const { file, events } = makeBinlog(SMALL, 1);
    for (let at = 0; at < file.length - 60; at += 1) {
      const damaged = Buffer.from(file);
      damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
      const received = await serve(damaged, `${UUID}:1-3`, 97);
      // The in-use flag of FORMAT_DESCRIPTION is no part of its checksum.
      if (at === 4 + 17 && at % 8 === 0) continue;
      assert.equal(received.end.kind, 'error', `byte ${at}`);
      assert.ok(
        received.events.slice(1).every((event, index) => event.equals(events[index] as Buffer)),
        `byte ${at}`,
      );
    }
  });

  test('a flipped bit in a large event cuts the connection before its last byte', async () => {
    const { file } = makeBinlog([[Buffer.alloc(3 * 2 ** 20, 7)]], 1);
    const damaged = Buffer.from(file);
    damaged[2 ** 20] = 8;
    const received = await serve(damaged, `${UUID}:1`, 64 * 1024);
    assert.equal(received.end.kind, 'cut');
    assert.equal(received.events.length, 4);
  });

  test('a file that is cut, too long, or lacks a planned transaction', async () => {
    const { file } = makeBinlog(SMALL, 1);
    const cases: [Buffer, string, number][] = [
      [file.subarray(0, file.length - 70), `${UUID}:1-3`, file.length],
      [file, `${UUID}:1-4`, file.length],
      [file, `${UUID}:1-4`, file.length + 10],
      [file.subarray(0, 40), `${UUID}:1`, file.length],
      [Buffer.alloc(0), `${UUID}:1`, file.length],
      [Buffer.from('no binary log at all'), `${UUID}:1`, file.length],
    ];
    for (const [bytes, send, lengthBytes] of cases) {
      const { end, notices } = await serve(bytes, send, 33, lengthBytes);
      assert.equal(end.kind, 'error');
      const failed = notices.find((notice) => notice.kind === 'dump-failed');
      assert.equal(failed?.kind === 'dump-failed' && failed.error.kind, 'corrupt');
    }
  });
});

test('who does not know the password gets error 1045 and nothing else', async () => {
  const notices: string[] = [];
  const source = await startArchiveSource({
    segments: [],
    listen: { host: '127.0.0.1', port: 0 },
    ...LOGIN,
    onNotice: ({ kind }) => notices.push(kind),
  });
  const logins = [
    { user: 'replay', password: 'wrong' },
    { user: 'root', password: 'right' },
  ];
  for (const login of logins) {
    const { end } = await askForDump({ port: source.port, ...login });
    assert.ok(end.kind === 'error' && end.message.startsWith('Access denied'), JSON.stringify(end));
  }
  const { end } = await askForDump({ port: source.port, ...LOGIN, statements: ['SELECT * FROM mysql.user'] });
  assert.equal(end.kind, 'error');
  assert.deepEqual(notices, ['login-refused', 'login-refused', 'logged-in', 'refused']);
  await source.close();
});

test('it listens on loopback only', async () => {
  const options = { segments: [], ...LOGIN, onNotice: () => undefined };
  const listen = { host: '0.0.0.0' as '127.0.0.1', port: 0 };
  await assert.rejects(startArchiveSource({ ...options, listen }), { code: 'CannotListen' });
});
