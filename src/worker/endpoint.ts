import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatListen, type ListenAddress } from '../config/listen.ts';
import { AppError } from '../domain/errors.ts';

/** What a request is answered with. */
export interface Answer {
  readonly status: 200 | 503;
  readonly type: string;
  readonly body: string;
}

/** A page of the endpoint, by its path. */
export type Pages = ReadonlyMap<string, () => Promise<Answer>>;

export interface Endpoint {
  /** Where it really listens. */
  readonly address: ListenAddress;
  close(): Promise<void>;
}

export const JSON_TYPE = 'application/json; charset=utf-8';
/** A scrape sends a few hundred bytes and waits for one answer; whoever is slower is let go. */
const REQUEST_MS = 10_000;
const MAX_CONNECTIONS = 32;

/** Serves pages over HTTP, GET and HEAD only. @throws unavailable `ListenFailed` */
export async function serveEndpoint(listen: ListenAddress, pages: Pages): Promise<Endpoint> {
  const server = createServer(
    { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS },
    (request, response) => {
      void answer(request, response, pages);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await listening(server, listen);
  const { port } = server.address() as AddressInfo;
  return {
    address: { host: listen.host, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, pages: Pages): Promise<void> {
  const send = (status: number, type: string, body: string): void => {
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  const refuse = (status: number, error: string) => send(status, JSON_TYPE, `${JSON.stringify({ error })}\n`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'only GET and HEAD');
  const page = pages.get((request.url ?? '').split('?', 1)[0] ?? '');
  if (page === undefined) return refuse(404, `no such page; there are ${[...pages.keys()].join(', ')}`);
  try {
    const { status, type, body } = await page();
    send(status, type, body);
  } catch (error) {
    // Whoever asks is outside: only the name of the error goes there.
    refuse(500, error instanceof AppError ? error.code : 'Unexpected');
  }
}

function listening(server: Server, listen: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenFailed(listen, error)));
    server.listen(listen.port, listen.host, () => resolve());
  });
}

function listenFailed(listen: ListenAddress, cause: NodeJS.ErrnoException): AppError {
  const where = formatListen(listen);
  const reason = cause.code ?? cause.message;
  return new AppError({
    code: 'ListenFailed',
    kind: 'unavailable',
    message: `The worker cannot listen on ${where} (${reason}), so it was not started: nobody could see how it is.`,
    hint: 'Choose another port (--listen), or end the process that has it.',
    facts: { listen: where, reason },
    cause,
  });
}
