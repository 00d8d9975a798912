import { connect, isIP, type Socket } from 'node:net';
import type { ConnectionOptions } from 'mysql2/promise';
import { MINIMUM_TLS } from '../domain/transport.ts';

/**
 * How a TCP connection is protected. `required` encrypts without proving who answers. MySQL's own words
 * for the others: VERIFY_CA (an authority that is trusted signed the certificate) and VERIFY_IDENTITY
 * (it also names the host that was asked for).
 */
export type TlsChoice =
  | 'off'
  | 'required'
  | {
      readonly verify: 'ca' | 'identity';
      /** PEM text of the authorities that are trusted; null for those of this host. */
      readonly caPem: string | null;
    };

interface TcpEndpoint {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsChoice;
}

/** The driver's options for a TCP connection: TLS 1.2 at least, and what must be proven before anything is sent. */
export function tcpOptions({ host, port, tls }: TcpEndpoint): ConnectionOptions {
  if (tls === 'off') return { host, port };
  if (tls === 'required') return { host, port, ssl: { ...MINIMUM_TLS, rejectUnauthorized: false } };
  const verifyIdentity = tls.verify === 'identity';
  const ca = tls.caPem === null ? {} : { ca: tls.caPem };
  return {
    host,
    port,
    ssl: { ...MINIMUM_TLS, ...ca, rejectUnauthorized: true, verifyIdentity },
    ...(verifyIdentity && isIP(host) !== 0 ? { stream: () => namedSocket(host, port) } : {}),
  };
}

/**
 * For an address as host mysql2 gives Node no name to look for in the certificate, and Node would look
 * for `localhost`. Node takes the name from this field of the socket, which it fills itself for names.
 */
function namedSocket(host: string, port: number): Socket {
  return Object.assign(connect({ host, port, keepAlive: true, noDelay: true }), { _host: host });
}
