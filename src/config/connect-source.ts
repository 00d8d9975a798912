import type { DumpAccount } from '../mysql/dump/dump.ts';
import {
  connectMysql,
  type MysqlEndpoint,
  type MysqlSession,
  type SessionOptions,
} from '../mysql/session.ts';
import { readCaFile } from './ca-file.ts';
import { readSecret } from './secret.ts';
import type { RemoteSource, SourceConfig, SourceEndpoint } from './types.ts';

/**
 * Connects to a source as the configuration says; the password is read at this moment, so that a
 * rotated one is taken at the next connection.
 * @throws unavailable, refused (access denied, not proven), config (password or CA cannot be read)
 */
export async function connectSource(
  source: SourceConfig,
  options: SessionOptions = {},
): Promise<MysqlSession> {
  const password = await readSecret(source.password);
  return connectMysql(endpointOf(source.endpoint), source.user, password.reveal(), options);
}

/**
 * What a dump from a remote source needs; the password is read at this moment.
 * @throws config (password or CA cannot be read)
 */
export async function dumpAccountOf(source: RemoteSource): Promise<DumpAccount> {
  const password = await readSecret(source.password);
  const { endpoint, user, replicaServerId: serverId } = source;
  return { endpoint: endpointOf(endpoint), user, password: password.reveal(), serverId };
}

/** Where a source listens, with the authorities that its certificate is proven by. @throws config `CaUnreadable` */
function endpointOf(endpoint: SourceEndpoint): MysqlEndpoint {
  if (endpoint.kind === 'socket') return { socket: endpoint.socket };
  const { host, port, tls } = endpoint;
  if (typeof tls === 'string') return { host, port, tls };
  const { verify, ca } = tls;
  return { host, port, tls: { verify, caPem: ca === null ? null : readCaFile(ca) } };
}
