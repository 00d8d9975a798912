import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import type { Certificate } from './certificates.ts';

/** Accepts everything that OpenSSL has, however old. */
const ANYTHING = 'DEFAULT:@SECLEVEL=0';

/** MySQL: Protocol::SSLRequest, 32 bytes behind the header of a packet. */
const SSL_REQUEST_BYTES = 36;

/** A server that speaks TLS 1.1 and nothing else, after whatever its protocol says in the clear. */
export interface OldServer {
  readonly port: number;
  /** Bytes that came to it inside TLS. */
  received(): number;
  stop(): Promise<void>;
}

/** Greets as a MySQL server that offers TLS, and goes over to TLS 1.1 when the client asks for it. */
export function startOldMysql(certificate: Certificate): Promise<OldServer> {
  return startOld((socket, secure) => {
    socket.write(greeting());
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      // What came behind the packet is the beginning of TLS.
      socket.unshift(chunk.subarray(SSL_REQUEST_BYTES));
      secure(socket, certificate);
    });
  });
}

/** TLS 1.1 from the first byte, as for https. */
export function startOldHttps(certificate: Certificate): Promise<OldServer> {
  return startOld((socket, secure) => secure(socket, certificate));
}

type Secure = (socket: Socket, certificate: Certificate) => void;

async function startOld(greet: (socket: Socket, secure: Secure) => void): Promise<OldServer> {
  let received = 0;
  const secure: Secure = (socket, certificate) => {
    const secured = new tls.TLSSocket(socket, {
      isServer: true,
      ...certificate,
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: ANYTHING,
    });
    secured.on('data', (chunk: Buffer) => {
      received += chunk.length;
      secured.end();
    });
    secured.on('error', () => socket.destroy());
  };
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    greet(socket, secure);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received: () => received,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/**
 * Lets this process speak everything that is broken, so that a refusal can only come from what a client
 * itself demands. Gives back what puts it right again.
 */
export function allowOldTls(): () => void {
  const { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS } = tls;
  tls.DEFAULT_MIN_VERSION = 'TLSv1';
  tls.DEFAULT_CIPHERS = ANYTHING;
  return () => Object.assign(tls, { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS });
}

/** What a client without demands of its own agrees on with a server. */
export async function agreedVersion(port: number): Promise<string | null> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const version = socket.getProtocol();
  socket.destroy();
  return version;
}

/** MySQL: Protocol::HandshakeV10 of a server with CLIENT_SSL, CLIENT_PROTOCOL_41 and CLIENT_PLUGIN_AUTH. */
function greeting(): Buffer {
  const capabilities = 0x0008_0000 | 0x8000 | 0x0800 | 0x0200 | 0x0001;
  const low = Buffer.alloc(2);
  low.writeUInt16LE(capabilities & 0xffff);
  const high = Buffer.alloc(2);
  high.writeUInt16LE(capabilities >>> 16);
  const payload = Buffer.concat([
    Buffer.from([10]),
    Buffer.from('9.7.4\0'),
    Buffer.from([1, 0, 0, 0]),
    Buffer.from('abcdefgh\0'),
    low,
    Buffer.from([255, 2, 0]),
    high,
    Buffer.from([21]),
    Buffer.alloc(10),
    Buffer.from('ijklmnopqrst\0'),
    Buffer.from('caching_sha2_password\0'),
  ]);
  return Buffer.concat([Buffer.from([payload.length, 0, 0, 0]), payload]);
}
