import { ByteReader } from './byte-reader.ts';
import { corruptSeal } from './envelope-errors.ts';

/** Plaintext per frame of the message: 4 MiB. A reader accepts no other, so its memory is bounded. */
export const FRAME_BYTES = 4 * 1024 * 1024;

/** Version 2, ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY. */
const VERSION_AND_SUITE = Buffer.from([0x02, 0x04, 0x78]);
const MESSAGE_ID_BYTES = 32;
const COMMITMENT_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const FRAMED = 2;
const SEQUENCE_END = 0xffffffff;

/**
 * Passes the bytes of one AWS Encryption SDK message on, in order, and checks its structure: header,
 * frames numbered from 1, final frame, and nothing after it. Says nothing on authenticity.
 *
 * The SDK's own stream ignores bytes after the final frame, and takes any frame length that a
 * header claims; hence this.
 *
 * Source: AWS Encryption SDK Developer Guide, message format reference.
 *
 * @throws corrupt `NotSealed`, `SealTruncated`, `SealTrailing`, `SealBroken`
 */
export async function* checkStructure(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(input);
  try {
    yield* header(reader);
    for (let sequence = 1, final = false; !final; sequence++) {
      const start = await frameStart(reader, sequence);
      final = start.final;
      yield start.bytes;
      for (let left = start.contentBytes + TAG_BYTES; left > 0; ) {
        const piece = await reader.atMost(left);
        if (piece === undefined) throw truncated(reader);
        left -= piece.length;
        yield piece;
      }
    }
    if (!(await reader.atEnd())) {
      throw corruptSeal('SealTrailing', `bytes follow its end at offset ${reader.consumed}`);
    }
  } finally {
    await reader.close();
  }
}

async function* header(reader: ByteReader): AsyncGenerator<Buffer> {
  const start = await wanted(reader, VERSION_AND_SUITE.length);
  if (!start.equals(VERSION_AND_SUITE)) {
    throw corruptSeal(
      'NotSealed',
      `it begins with ${start.toString('hex')}, not as a message with key commitment`,
    );
  }
  yield start;
  yield await wanted(reader, MESSAGE_ID_BYTES);
  yield* lengthPrefixed(reader);
  const keys = await wanted(reader, 2);
  if (keys.readUInt16BE() !== 1) {
    throw corruptSeal('NotSealed', `its header holds ${keys.readUInt16BE()} data keys, not one`);
  }
  yield keys;
  // Provider, provider's information, encrypted data key.
  for (let field = 0; field < 3; field++) yield* lengthPrefixed(reader);
  const framing = await wanted(reader, 5);
  if (framing.readUInt8() !== FRAMED || framing.readUInt32BE(1) !== FRAME_BYTES) {
    throw corruptSeal('NotSealed', `its frames are not of ${FRAME_BYTES} bytes`);
  }
  yield framing;
  yield await wanted(reader, COMMITMENT_BYTES + TAG_BYTES);
}

async function* lengthPrefixed(reader: ByteReader): AsyncGenerator<Buffer> {
  const length = await wanted(reader, 2);
  yield length;
  if (length.readUInt16BE() > 0) yield await wanted(reader, length.readUInt16BE());
}

interface FrameStart {
  readonly bytes: Buffer;
  readonly contentBytes: number;
  readonly final: boolean;
}

async function frameStart(reader: ByteReader, expected: number): Promise<FrameStart> {
  const offset = reader.consumed;
  const first = await wanted(reader, 4);
  const final = first.readUInt32BE() === SEQUENCE_END;
  const rest = await wanted(reader, final ? 4 + IV_BYTES + 4 : IV_BYTES);
  const sequence = (final ? rest : first).readUInt32BE();
  if (sequence !== expected) {
    throw corruptSeal('SealBroken', `frame ${expected} at offset ${offset} carries the number ${sequence}`);
  }
  const contentBytes = final ? rest.readUInt32BE(4 + IV_BYTES) : FRAME_BYTES;
  if (contentBytes > FRAME_BYTES) {
    throw corruptSeal('SealBroken', `frame ${expected} at offset ${offset} claims ${contentBytes} bytes`);
  }
  return { bytes: Buffer.concat([first, rest]), contentBytes, final };
}

async function wanted(reader: ByteReader, count: number): Promise<Buffer> {
  const bytes = await reader.exactly(count);
  if (bytes === undefined) throw truncated(reader);
  return bytes;
}

function truncated(reader: ByteReader): Error {
  return corruptSeal('SealTruncated', `it ends inside a frame, after ${reader.consumed} bytes`);
}
