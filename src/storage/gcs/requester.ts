import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import type { Storage } from '@google-cloud/storage';
import { gaxios, PassThroughClient } from 'google-auth-library';
import { tracedAgent, traceHeaders } from '../../telemetry/trace.ts';
import type { GcsAccess } from './access.ts';
import type { Connections } from './connections.ts';

/** What the library cannot be told of a request, and its interceptors can. */
export interface RequestExtras {
  readonly signal: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Hears why it failed: a stream of the library may tell of its own destruction instead. */
  readonly onFailure?: (error: unknown) => void;
}

type Asked = gaxios.GaxiosOptions & Pick<RequestExtras, 'onFailure'>;

/** Through this goes every request of the library: it proves who asks, over connections of our own. */
export class Requester extends PassThroughClient {
  readonly #access: GcsAccess;

  constructor(access: GcsAccess, connections: Connections) {
    const fetchImplementation = connections.fetch.bind(connections) as unknown as typeof fetch;
    // Its redactor looks at every byte of a chunk; its errors go no further than this file.
    const transporterOptions = { fetchImplementation, errorRedactor: false } as const;
    super({ useAuthRequestParameters: false, transporterOptions });
    this.#access = access;
  }

  /** @throws as `GcsAccess.headers` and `Connections.fetch` */
  override async request<T>(asked: Asked): Promise<gaxios.GaxiosResponse<T>> {
    try {
      const headers = new Headers(asked.headers);
      const proof = await this.#access.headers(new URL(asked.url ?? ''));
      // The audit logs of Google Cloud keep the user agent.
      const ours = { ...proof, 'user-agent': tracedAgent('pitrail'), ...traceHeaders() };
      for (const [name, value] of Object.entries(ours)) headers.set(name, value);
      // The connections have judged the status.
      const told = { headers, validateStatus: () => true };
      return await this.transporter.request<T>({ responseType: 'json', ...asked, ...told });
    } catch (error) {
      // What wraps it carries the request, with its token.
      const failure = error instanceof gaxios.GaxiosError ? error.cause : error;
      asked.onFailure?.(failure);
      throw failure;
    }
  }
}

type Transport = Storage['makeAuthenticatedRequest'];
type LibraryRequest = Parameters<Transport>[0] & Pick<RequestExtras, 'signal' | 'onFailure'>;
/** The types of the library do not say what its parts have. */
type Part = NonNullable<LibraryRequest['multipart']>[number] & Readonly<Record<'Content-Type', string>>;
type Callback = (error: Error | null, body?: unknown) => void;

/**
 * What the library sends its requests with, in the place of its own: that waits for ever for a server
 * that is silent, and one pool of connections serves the whole process.
 */
export function transportOf(requester: Requester): Transport {
  const transport = (asked: LibraryRequest, callback?: Callback): PassThrough | undefined => {
    const options = optionsOf(asked);
    if (callback === undefined) return answerTo(requester.request({ ...options, responseType: 'stream' }));
    const done = requester.request(options).then(({ data }) => callback(null, data ?? ''), callback);
    // The library stumbles over an answer that is not what it expects.
    done.catch(callback);
    return undefined;
  };
  return transport as unknown as Transport;
}

function optionsOf({ uri, method, headers, qs, multipart, signal, onFailure }: LibraryRequest): Asked {
  const parts = (multipart as Part[] | undefined)?.map((part) => ({
    headers: new Headers({ 'content-type': part['Content-Type'] }),
    content: part.body,
  }));
  return { url: uri, method, headers, params: qs, multipart: parts, signal, onFailure } as Asked;
}

/** Tells of an answer as the library's own transport does. It finds no agent there that it could destroy. */
function answerTo(asking: Promise<gaxios.GaxiosResponse<IncomingMessage>>): PassThrough {
  const told = new PassThrough();
  const tell = ({ data }: { readonly data: IncomingMessage }): void => {
    const { headers } = data;
    told.emit('response', Object.assign(data, { request: {}, toJSON: () => ({ headers }) }));
  };
  asking.then(tell).catch((error) => told.destroy(error));
  return told;
}
