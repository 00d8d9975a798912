import { Agent, type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http';
import { request as requestHttps, Agent as SecureAgent } from 'node:https';
import type { Socket } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { MINIMUM_TLS } from '../../domain/transport.ts';
import { UnexpectedAnswer } from './errors.ts';

/** Time limits of requests; a test may shorten them. */
export interface GcsTimeouts {
  readonly connectMs: number;
  /** Longest silence on a socket. */
  readonly idleMs: number;
}

/** A request, as Google's HTTP library hands it to whoever fetches. */
interface Sent {
  readonly method: string;
  readonly headers: Headers;
  readonly body?: Readable | Uint8Array | string;
  readonly signal?: AbortSignal;
}

/** More than the requests in flight of a few transfers; further ones wait. */
const MAX_SOCKETS = 64;
/** Longer answers than this are no JSON that the store would send. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;
/** The store has taken bytes of an upload and waits for more. */
export const MORE_WANTED = 308;

/**
 * The connections of one store, over Node's own HTTP client: limits for silence, proxies of the
 * environment (`HTTPS_PROXY`, `NO_PROXY`). Nothing is sent again here, and no redirect is followed.
 */
export class Connections {
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
   * Sends a request; returns as much of a `Response` as Google's HTTP library needs. Its body is the
   * `IncomingMessage`.
   * @throws `UnexpectedAnswer`; the system's error where no answer came; the reason of an abort
   */
  async fetch(url: URL, sent: Sent): Promise<Response> {
    const answer = await this.#send(url, sent);
    const status = answer.statusCode ?? 0;
    const expected = (status >= 200 && status < 300) || status === MORE_WANTED;
    if (!expected) throw new UnexpectedAnswer(status, await textOf(answer));
    // Its body is not asked for, and would keep the connection.
    if (status === 204) answer.resume();
    const headers = new Headers();
    for (const [name, value] of Object.entries(answer.headers)) headers.set(name, String(value));
    const response = { status, headers, body: answer, text: () => textOf(answer) };
    return response as unknown as Response;
  }

  /** Closes all connections. */
  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  #send(url: URL, { method, headers, body, signal }: Sent): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const secure = url.protocol === 'https:';
      const options: RequestOptions = {
        method,
        headers: Object.fromEntries(headers),
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
      // The error of a stream is that of the request.
      if (body instanceof Readable) pipeline(body, sending, () => undefined);
      else sending.end(body);
    });
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
async function textOf(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let lengthBytes = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    lengthBytes += piece.length;
    if (lengthBytes > MAX_TEXT_BYTES) throw new Error(`an answer of more than ${MAX_TEXT_BYTES} bytes came`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function silent(idleMs: number): Error {
  return Object.assign(new Error(`no byte came or went for ${idleMs} ms`), { code: 'ETIMEDOUT' });
}
