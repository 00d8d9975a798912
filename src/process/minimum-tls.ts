import tls from 'node:tls';
import { MINIMUM_TLS } from '../domain/transport.ts';

/** From the weakest. */
const VERSIONS: readonly tls.SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/**
 * Holds connections that libraries make for themselves (to the token servers of clouds) to the version that
 * ours demand, also where this process was told to speak older ones (`--tls-min-v1.0`, `NODE_OPTIONS`). What
 * is stricter stays.
 */
export function raiseMinimumTls(): void {
  const { minVersion } = MINIMUM_TLS;
  if (VERSIONS.indexOf(tls.DEFAULT_MIN_VERSION) < VERSIONS.indexOf(minVersion))
    tls.DEFAULT_MIN_VERSION = minVersion;
}
