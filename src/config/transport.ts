import { assertNever } from '../domain/errors.ts';
import type { ClusterConfig, SourceConfig, StoreConfig } from './types.ts';

/** A connection on whose way somebody could read, or answer in the place of the server. */
export interface WeakTransport {
  /** `source shop/shop-1`, `store shop/s3`. */
  readonly part: string;
  readonly message: string;
  readonly hint: string;
}

/** Everything in a cluster's configuration that makes a connection weaker than the default. Pure. */
export function weakTransports(cluster: ClusterConfig): WeakTransport[] {
  return [
    ...cluster.sources.flatMap((source) => weakSource(`source ${cluster.name}/${source.id}`, source)),
    ...cluster.stores.flatMap((store) => weakStore(`store ${cluster.name}/${store.id}`, store)),
  ];
}

function weakSource(part: string, { endpoint }: SourceConfig): WeakTransport[] {
  if (endpoint.kind === 'socket') return [];
  const { tls } = endpoint;
  const where = `${endpoint.host}:${endpoint.port}`;
  if (tls === 'off') {
    const message = `the connection to ${where} is NOT ENCRYPTED (tls: off): whoever is on the way reads the data, and can answer in the place of the server.`;
    return [{ part, message, hint: 'Leave tls out, or give the authority: tls: { ca: FILE }.' }];
  }
  if (tls === 'required') {
    const message = `the server at ${where} is NOT PROVEN (tls without verification): whoever is on the way can answer in its place, and read all.`;
    return [{ part, message, hint: 'Give the authority that signed its certificate: tls: { ca: FILE }.' }];
  }
  if (tls.verify === 'ca' && tls.ca === null) {
    const message = `any certificate of an authority that this host trusts is taken for that of ${where}, whatever name it bears.`;
    return [{ part, message, hint: 'Name the one authority (tls: { ca: FILE }), or say verify: identity.' }];
  }
  return [];
}

function weakStore(part: string, store: StoreConfig): WeakTransport[] {
  switch (store.kind) {
    case 'directory':
      return [];
    case 's3':
    case 'gcs':
      return plainHttp(part, store.endpoint);
    default:
      return assertNever(store);
  }
}

function plainHttp(part: string, endpoint: string | null): WeakTransport[] {
  const url = endpoint === null ? null : URL.parse(endpoint);
  if (url === null || url.protocol !== 'http:' || isLoopback(url.hostname)) return [];
  const message = `requests to ${url.host} are NOT ENCRYPTED (http): whoever is on the way sees what is stored where, and can answer in the place of the store.`;
  return [{ part, message, hint: `Use https://${url.host}.` }];
}

/** True for a host that is this machine: nothing leaves it. A name other than localhost could be anywhere. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.[0-9]{1,3}){3}$/.test(host);
}
