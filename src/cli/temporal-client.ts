import { Client, Connection } from '@temporalio/client';
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import { readSecret } from '../config/secret.ts';
import type { TemporalConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';

/** A connected client; `close` ends its sockets. */
export interface TemporalSession {
  readonly client: Client;
  readonly connection: Connection;
  readonly namespace: string;
  /** For people: `127.0.0.1:7233`. */
  readonly address: string;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5000;
const DEFAULT_ADDRESS = '127.0.0.1:7233';

/** Where Temporal is and how it is entered, as its client and its worker take it. */
export interface TemporalTarget {
  readonly address: string;
  readonly namespace: string;
  readonly options: ClientConnectConfig['connectionOptions'];
}

/**
 * Settles where Temporal is: pitrail.yaml first, then the profile and environment variables that
 * Temporal's own command line reads. @throws config where a profile or key cannot be read
 */
export async function temporalTarget(config: TemporalConfig): Promise<TemporalTarget> {
  const { connectionOptions, namespace } = loadProfile(config.profile);
  const address = config.address ?? connectionOptions.address ?? DEFAULT_ADDRESS;
  const apiKey = config.apiKey === null ? null : await readSecret(config.apiKey);
  return {
    address,
    namespace: config.namespace ?? namespace ?? 'default',
    options: { ...connectionOptions, address, ...(apiKey === null ? {} : { apiKey: apiKey.reveal() }) },
  };
}

/** Connects to Temporal. @throws unavailable `TemporalUnreachable`, config */
export async function connectTemporal(config: TemporalConfig): Promise<TemporalSession> {
  const { address, namespace, options } = await temporalTarget(config);
  let connection: Connection;
  try {
    connection = await Connection.connect({ ...options, connectTimeout: CONNECT_TIMEOUT_MS });
  } catch (error) {
    throw unreachable(address, error);
  }
  return {
    client: new Client({ connection, namespace }),
    connection,
    namespace,
    address,
    close: () => connection.close(),
  };
}

function loadProfile(profile: string | null): ClientConnectConfig {
  try {
    return loadClientConnectConfig(profile === null ? {} : { profile });
  } catch (error) {
    throw new AppError({
      code: 'TemporalProfileUnreadable',
      kind: 'config',
      message: `Temporal's configuration ${profile === null ? '' : `profile ${JSON.stringify(profile)} `}cannot be read, so it is unknown where Temporal is.`,
      hint: 'See "temporal config list", or give temporal.address in pitrail.yaml.',
      facts: { profile },
      cause: error,
    });
  }
}

function unreachable(address: string, cause: unknown): AppError {
  return new AppError({
    code: 'TemporalUnreachable',
    kind: 'unavailable',
    message: `Temporal does not answer at ${address}, so no workflow can be started or asked.`,
    hint: 'Start it, or set temporal.address in pitrail.yaml (or TEMPORAL_ADDRESS). For one machine: temporal server start-dev. A restore goes without it: pitrail restore --direct.',
    facts: { address },
    cause,
  });
}
