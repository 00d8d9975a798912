import { Agent, type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http';
import { request as requestHttps, Agent as SecureAgent } from 'node:https';
import type { Socket } from 'node:net';
import { MINIMUM_TLS } from '../../domain/transport.ts';
import { tracedAgent, traceHeaders } from '../../telemetry/trace.ts';

/** Time limits of requests; a test may shorten them. */
export interface GcsTimeouts {
  readonly connectMs: number;
  /** Longest silence on a socket. */
  readonly idleMs: number;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent one after the other; empty for a request without a body. */
  readonly body: readonly Uint8Array[];
  readonly signal: AbortSignal | undefined;
}

/** More than the requests in flight of a few transfers; further ones wait. */
const MAX_SOCKETS = 64;
/** Longer answers than this are no JSON that the store would send. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;

/**
 * Requests over Node's own HTTP client, with kept connections and proxies of the environment
 * (`HTTPS_PROXY`, `NO_PROXY`). Nothing is sent again here, and no redirect is followed.
 */
export class HttpClient {
  readonly #timeouts: GcsTimeouts;
  readonly #plain: Agent;
  readonly #secure: SecureAgent;

  /** `ca`: the authorities that may have signed the certificate of the server, as PEM text; those of this host where null. */
  constructor(timeouts: GcsTimeouts, ca: string | null) {
    this.#timeouts = timeouts;
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS, proxyEnv: process.env } as const;
    this.#plain = new Agent(options);
    this.#secure = new SecureAgent({ ...options, ...MINIMUM_TLS, ...(ca === null ? {} : { ca }) });
  }

  /**
   * Sends a request; returns the head of the answer, whatever its status, with its body to be read.
   * @throws the system's error where no answer came; the reason of an abort
   */
  send(asked: HttpRequest): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { url, body, signal } = asked;
      const secure = url.startsWith('https:');
      const options: RequestOptions = {
        method: asked.method,
        headers: {
          ...asked.headers,
          // The audit logs of Google Cloud keep the user agent.
          'user-agent': tracedAgent('pitrail'),
          ...traceHeaders(),
          'content-length': lengthOf(body),
        },
        agent: secure ? this.#secure : this.#plain,
        timeout: this.#timeouts.idleMs,
        ...(signal === undefined ? {} : { signal }),
      };
      const sending = secure ? requestHttps(url, options) : requestHttp(url, options);
      // Stays for the life of the request: a server may answer, and then refuse the rest of the body.
      sending.on('error', (error) => reject(signal?.aborted === true ? signal.reason : error));
      sending.on('timeout', () => sending.destroy(silent(this.#timeouts.idleMs)));
      sending.once('socket', (socket) => this.#limitConnecting(socket));
      sending.once('response', resolve);
      for (const piece of body) sending.write(piece);
      sending.end();
    });
  }

  /** Closes all connections. */
  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  #limitConnecting(socket: Socket): void {
    if (!socket.connecting) return;
    const { connectMs } = this.#timeouts;
    const timer = setTimeout(() => {
      socket.destroy(new Error(`no connection was made within ${connectMs} ms`));
    }, connectMs);
    for (const event of ['connect', 'close'] as const) socket.once(event, () => clearTimeout(timer));
  }
}

/** Reads the body of an answer that is no object. @throws the system's error */
export async function textOf(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let lengthBytes = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    lengthBytes += piece.length;
    if (lengthBytes > MAX_TEXT_BYTES) throw new Error(`an answer of more than ${MAX_TEXT_BYTES} bytes came`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function lengthOf(body: readonly Uint8Array[]): number {
  return body.reduce((sum, piece) => sum + piece.length, 0);
}

function silent(idleMs: number): Error {
  return Object.assign(new Error(`no byte came or went for ${idleMs} ms`), { code: 'ETIMEDOUT' });
}
