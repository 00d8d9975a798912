/**
 * The connection phase: handshake v10 and the fast path of caching_sha2_password, the only
 * authentication that is offered. Source: MySQL's Doxygen, "Connection Phase" and
 * "Caching_sha2_password information"; sql/auth/sha2_password_common.cc.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readLengthEncoded } from './packets.ts';

export const AUTH_PLUGIN = 'caching_sha2_password';
/** What a replica reads as the source's version; at least 8.3, or it would leave out tagged GTIDs. */
export const SERVER_VERSION = '8.4.0-pitrail-archive';
const NONCE_BYTES = 20;

const CLIENT_LONG_PASSWORD = 0x0000_0001;
const CLIENT_LONG_FLAG = 0x0000_0004;
const CLIENT_CONNECT_WITH_DB = 0x0000_0008;
const CLIENT_PROTOCOL_41 = 0x0000_0200;
const CLIENT_TRANSACTIONS = 0x0000_2000;
const CLIENT_SECURE_CONNECTION = 0x0000_8000;
const CLIENT_PLUGIN_AUTH = 0x0008_0000;
const CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA = 0x0020_0000;

const CAPABILITIES =
  CLIENT_LONG_PASSWORD |
  CLIENT_LONG_FLAG |
  CLIENT_CONNECT_WITH_DB |
  CLIENT_PROTOCOL_41 |
  CLIENT_TRANSACTIONS |
  CLIENT_SECURE_CONNECTION |
  CLIENT_PLUGIN_AUTH |
  CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;

/** What a client answers to the greeting. */
export type HandshakeResponse =
  | {
      readonly kind: 'login';
      readonly user: string;
      readonly authPlugin: string;
      readonly scramble: Buffer;
    }
  | { readonly kind: 'unsupported'; readonly reason: string };

/** Makes the challenge of one connection out of random bytes: 20 bytes without NUL and `$`. */
export function toNonce(random: Uint8Array): Buffer {
  const letters = random.subarray(0, NONCE_BYTES).map((byte) => {
    const letter = (byte % 126) + 1;
    return letter === 0x24 ? 0x25 : letter;
  });
  return Buffer.from(letters);
}

/** The server's greeting. */
export function greetingPayload(connectionId: number, nonce: Buffer): Buffer {
  const head = Buffer.concat([Buffer.from([10]), Buffer.from(`${SERVER_VERSION}\0`, 'latin1')]);
  const id = Buffer.alloc(4);
  id.writeUInt32LE(connectionId >>> 0);
  const middle = Buffer.alloc(9);
  middle.writeUInt16LE(CAPABILITIES & 0xffff, 1);
  middle.writeUInt8(0xff, 3);
  middle.writeUInt16LE(0x0002, 4);
  middle.writeUInt16LE(CAPABILITIES >>> 16, 6);
  middle.writeUInt8(NONCE_BYTES + 1, 8);
  return Buffer.concat([
    head,
    id,
    nonce.subarray(0, 8),
    middle,
    Buffer.alloc(10),
    nonce.subarray(8),
    Buffer.from([0]),
    Buffer.from(`${AUTH_PLUGIN}\0`, 'latin1'),
  ]);
}

function readUntilNul(buffer: Buffer, offset: number): { text: string; next: number } {
  const found = buffer.indexOf(0, offset);
  const end = found === -1 ? buffer.length : found;
  return { text: buffer.toString('utf8', offset, end), next: end + 1 };
}

/** Decodes HandshakeResponse41; what is not one is `unsupported`, with the reason. */
export function parseHandshakeResponse(payload: Buffer): HandshakeResponse {
  try {
    return decodeHandshakeResponse(payload);
  } catch (error) {
    if (error instanceof RangeError)
      return { kind: 'unsupported', reason: 'the handshake response is cut off' };
    throw error;
  }
}

function decodeHandshakeResponse(payload: Buffer): HandshakeResponse {
  const capabilities = payload.readUInt32LE(0);
  if ((capabilities & CLIENT_PROTOCOL_41) === 0) {
    return { kind: 'unsupported', reason: 'the client speaks a protocol older than 4.1' };
  }
  if (payload.length <= 32)
    return { kind: 'unsupported', reason: 'the client asks for TLS, which is not offered' };
  const user = readUntilNul(payload, 32);
  const lenenc = (capabilities & CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) !== 0;
  const length = lenenc
    ? readLengthEncoded(payload, user.next)
    : { value: payload.readUInt8(user.next), next: user.next + 1 };
  const scramble = Buffer.from(payload.subarray(length.next, length.next + length.value));
  let next = length.next + length.value;
  if ((capabilities & CLIENT_CONNECT_WITH_DB) !== 0) next = readUntilNul(payload, next).next;
  const named = (capabilities & CLIENT_PLUGIN_AUTH) !== 0;
  const authPlugin = named ? readUntilNul(payload, next).text : '';
  return { kind: 'login', user: user.text, authPlugin, scramble };
}

/** Asks a client that began with another plugin to answer with caching_sha2_password. */
export function authSwitchPayload(nonce: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from([0xfe]),
    Buffer.from(`${AUTH_PLUGIN}\0`, 'latin1'),
    nonce,
    Buffer.from([0]),
  ]);
}

/** Tells the client that the fast path succeeded; OK follows. */
export function fastAuthSuccessPayload(): Buffer {
  return Buffer.from([0x01, 0x03]);
}

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** What a client that knows the password answers: XOR(SHA256(p), SHA256(SHA256(SHA256(p)), nonce)). */
export function scramblePassword(password: string, nonce: Uint8Array): Buffer {
  const once = sha256(Buffer.from(password, 'utf8'));
  const mask = sha256(sha256(once), nonce);
  return Buffer.from(once.map((byte, index) => byte ^ (mask[index] as number)));
}

/** True where the answer proves knowledge of the password; compared in constant time. */
export function isRightPassword(scramble: Uint8Array, password: string, nonce: Uint8Array): boolean {
  const wanted = scramblePassword(password, nonce);
  return scramble.length === wanted.length && timingSafeEqual(scramble, wanted);
}
