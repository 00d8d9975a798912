import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to one request on its way to the real server. */
export type Fault =
  | { readonly kind: 'pass' }
  /** The server never sees it; the connection breaks. */
  | { readonly kind: 'break' }
  /** The server never sees it. */
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  /** The server does it; the client hears something else. */
  | { readonly kind: 'answer-instead'; readonly status: number; readonly body: string }
  /** The server does it; the connection breaks before the answer. */
  | { readonly kind: 'lose-answer' };

/** What a test decides by. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** How many requests of this kind (method and query names) came before. */
  readonly before: number;
}

export interface HttpFaults {
  readonly endpoint: string;
  /** Decides on every request; `pass` at the start. */
  decide: (seen: SeenRequest) => Fault;
  stop(): Promise<void>;
}

export const PASS: Fault = { kind: 'pass' };

/** An error as S3 writes it. */
export function s3ErrorBody(code: string, message = 'made by a test'): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>1</RequestId></Error>`;
}

/** A proxy in front of a real S3 server that makes single requests fail as stores do. */
export async function httpFaults(target: {
  readonly host: string;
  readonly port: number;
}): Promise<HttpFaults> {
  const counts = new Map<string, number>();
  const faults = { decide: (_seen: SeenRequest): Fault => PASS };
  const server = createServer((incoming, outgoing) => {
    const url = new URL(incoming.url ?? '/', 'http://proxy');
    const method = incoming.method ?? 'GET';
    const kind = `${method} ${[...url.searchParams.keys()].sort().join('&')}`;
    const before = counts.get(kind) ?? 0;
    counts.set(kind, before + 1);
    const seen = { method, path: url.pathname, query: url.searchParams, before };
    handle(faults.decide(seen), target, incoming, outgoing);
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
): void {
  if (fault.kind === 'break') {
    incoming.socket.resetAndDestroy();
    return;
  }
  if (fault.kind === 'answer') {
    incoming.resume();
    incoming.once('end', () => answer(outgoing, fault.status, fault.body));
    return;
  }
  // Headers go on as they are: the signature covers the host that the client named.
  const { method, url, headers } = incoming;
  const onward = request({ ...target, method, path: url, headers }, (response) => {
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
      default:
        fault satisfies never;
    }
  });
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
}

function answer(outgoing: ServerResponse, status: number, body: string): void {
  outgoing.writeHead(status, {
    'content-type': 'application/xml',
    'content-length': Buffer.byteLength(body),
  });
  outgoing.end(body);
}
