import { readFile } from 'node:fs/promises';
import { AppError } from '../domain/errors.ts';
import {
  connectMysql,
  type MysqlEndpoint,
  type MysqlSession,
  type SessionOptions,
} from '../mysql/session.ts';
import { readSecret } from './secret.ts';
import type { SourceConfig, SourceEndpoint } from './types.ts';

/**
 * Connects to a source as the configuration says; the password is read at this moment, so that a
 * rotated one is taken at the next connection.
 * @throws unavailable, refused (access denied), config (password or CA cannot be read)
 */
export async function connectSource(
  source: SourceConfig,
  options: SessionOptions = {},
): Promise<MysqlSession> {
  const password = await readSecret(source.password);
  return connectMysql(await endpointOf(source.endpoint), source.user, password.reveal(), options);
}

async function endpointOf(endpoint: SourceEndpoint): Promise<MysqlEndpoint> {
  if (endpoint.kind === 'socket') return { socket: endpoint.socket };
  const { host, port, tls } = endpoint;
  if (typeof tls === 'string') return { host, port, tls };
  const caPem = await readFile(tls.ca, 'utf8').catch((error: unknown) => {
    throw caUnreadable(tls.ca, error);
  });
  return { host, port, tls: { caPem } };
}

function caUnreadable(path: string, cause: unknown): AppError {
  const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown reason';
  return new AppError({
    code: 'CaUnreadable',
    kind: 'config',
    message: `The CA file ${path} cannot be read (${reason}), so it cannot be proven which server answers.`,
    hint: 'Put the path of a PEM file into tls.ca.',
    facts: { path, reason },
    cause,
  });
}
