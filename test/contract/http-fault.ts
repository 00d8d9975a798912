import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to one request on its way to the real server. */
export type Fault =
  | { readonly kind: 'pass' }
  /** The server never sees it; the connection breaks. */
  | { readonly kind: 'break' }
  /** The server never sees it. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The server does it; the client hears something else. */
  | { readonly kind: 'answer-instead'; readonly status: number; readonly body: string }
  /** The server does it; the connection breaks before the answer. */
  | { readonly kind: 'lose-answer' }
  /** The answer brings only so many bytes of its body, and says that these are all. */
  | { readonly kind: 'shorten'; readonly toBytes: number };

/** What a test decides by. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** How many requests of this kind (method and query names) came before. */
  readonly before: number;
}

export interface HttpFaults {
  readonly endpoint: string;
  /** Decides on every request; `pass` at the start. */
  decide: (seen: SeenRequest) => Fault;
  /** Sees every answer of the real server. */
  watch: (seen: SeenRequest, status: number, headers: IncomingHttpHeaders) => void;
  stop(): Promise<void>;
}

export const PASS: Fault = { kind: 'pass' };

/** An error as S3 writes it. */
export function s3ErrorBody(code: string, message = 'made by a test'): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>1</RequestId></Error>`;
}

/** An error as the JSON API of Google Cloud Storage writes it. */
export function gcsErrorBody(code: number, reason: string, message = 'made by a test'): string {
  return JSON.stringify({ error: { code, message, errors: [{ message, domain: 'global', reason }] } });
}

/** A proxy in front of a real server that makes single requests fail as stores do. */
export async function httpFaults(target: {
  readonly host: string;
  readonly port: number;
}): Promise<HttpFaults> {
  const counts = new Map<string, number>();
  const faults: Pick<HttpFaults, 'decide' | 'watch'> = { decide: () => PASS, watch: () => undefined };
  const server = createServer((incoming, outgoing) => {
    const url = new URL(incoming.url ?? '/', 'http://proxy');
    const method = incoming.method ?? 'GET';
    const kind = `${method} ${[...url.searchParams.keys()].sort().join('&')}`;
    const before = counts.get(kind) ?? 0;
    counts.set(kind, before + 1);
    const { headers } = incoming;
    const seen = { method, path: url.pathname, query: url.searchParams, headers, before };
    handle(faults.decide(seen), target, incoming, outgoing, (status, answered) =>
      faults.watch(seen, status, answered),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(faults, {
    endpoint: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

function handle(
  fault: Fault,
  target: { readonly host: string; readonly port: number },
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  watch: (status: number, headers: IncomingHttpHeaders) => void,
): void {
  if (fault.kind === 'break') {
    incoming.socket.resetAndDestroy();
    return;
  }
  if (fault.kind === 'answer') {
    incoming.resume();
    incoming.once('end', () => answer(outgoing, fault.status, fault.body, fault.headers));
    return;
  }
  // Headers go on as they are: the signature covers the host that the client named.
  const { method, url, headers } = incoming;
  const { host, port } = target;
  const onward = request({ host, port, method, path: url, headers }, (response) => {
    watch(response.statusCode ?? 0, response.headers);
    switch (fault.kind) {
      case 'pass':
        outgoing.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(outgoing);
        response.on('error', () => outgoing.destroy());
        return;
      case 'answer-instead':
        response.resume();
        response.once('end', () => answer(outgoing, fault.status, fault.body));
        return;
      case 'lose-answer':
        response.resume();
        response.once('end', () => outgoing.destroy());
        return;
      case 'shorten':
        void shorten(response, outgoing, fault.toBytes);
        return;
      default:
        fault satisfies never;
    }
  });
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
}

async function shorten(response: IncomingMessage, outgoing: ServerResponse, toBytes: number): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece);
  const body = Buffer.concat(pieces).subarray(0, toBytes);
  outgoing.writeHead(response.statusCode ?? 502, { ...response.headers, 'content-length': body.length });
  outgoing.end(body);
}

function answer(
  outgoing: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const type = body.startsWith('{') ? 'application/json' : 'application/xml';
  outgoing.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  outgoing.end(body);
}
