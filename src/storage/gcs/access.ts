import type { GoogleAuth } from 'google-auth-library';
import { z } from 'zod';
import { AppError } from '../../domain/errors.ts';
import { isUnprovenPeer } from '../../domain/transport.ts';
import { shown, storeUnreachable } from '../refusals.ts';

/** Who asks. */
export type GcsCredentials =
  /** As Google's own tools find them: environment, gcloud's file, the machine's service account. */
  | { readonly kind: 'default' }
  /** Nobody: for emulators. */
  | { readonly kind: 'anonymous' }
  /** The JSON text of a service account key, or of a federation; asked for now and again, so that a rotated one is taken up. */
  | { readonly kind: 'given'; readonly read: () => Promise<string> };

type Somebody = Exclude<GcsCredentials, { readonly kind: 'anonymous' }>;

export interface AccessConfig {
  readonly location: string;
  /** URL without a path. */
  readonly endpoint: string;
  readonly credentials: GcsCredentials;
  readonly idleMs: number;
}

/** What a token allows at most, whatever the account may do. */
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write';
/** How long given credentials are used before they are read again. */
const CREDENTIALS_LAST_MS = 10 * 60 * 1000;

const keySchema = z.looseObject({ type: z.string() });

type Headers = Readonly<Record<string, string>>;

/** Proves to one store who asks. Google's library is loaded by the first who is somebody. */
export class GcsAccess {
  readonly #config: AccessConfig;
  #auth: Promise<GoogleAuth> | null = null;
  #readAgainAt = 0;

  constructor(config: AccessConfig) {
    this.#config = config;
  }

  /**
   * The headers that prove to this URL who asks; tokens are had anew before they end. The URL of an upload
   * that was begun is a permission of its own, and where it leads is the server's choice: it gets none.
   * @throws config `CredentialsMissing`, refused `StoreDenied`, `StoreNotProven`, unavailable; what reading credentials throws
   */
  async headers({ origin, searchParams }: URL): Promise<Headers> {
    const { credentials, endpoint, location } = this.#config;
    const elsewhere = origin !== new URL(endpoint).origin || searchParams.has('upload_id');
    if (credentials.kind === 'anonymous' || elsewhere) return {};
    const auth = await this.#current(credentials);
    try {
      return Object.fromEntries(await auth.getRequestHeaders(endpoint));
    } catch (error) {
      this.renew();
      throw credentialsError(location, error);
    }
  }

  /** Reads the credentials anew for the next request. */
  renew(): void {
    this.#auth = null;
  }

  #current(credentials: Somebody): Promise<GoogleAuth> {
    if (this.#auth !== null && performance.now() < this.#readAgainAt) return this.#auth;
    this.#readAgainAt =
      credentials.kind === 'given' ? performance.now() + CREDENTIALS_LAST_MS : Number.POSITIVE_INFINITY;
    const auth = this.#authorize(credentials);
    this.#auth = auth;
    // A failure is told to whoever asked, and not kept.
    auth.catch(() => {
      if (this.#auth === auth) this.#auth = null;
    });
    return auth;
  }

  async #authorize(credentials: Somebody): Promise<GoogleAuth> {
    const { location, idleMs } = this.#config;
    const { GoogleAuth } = await import('google-auth-library');
    // Without a limit a silent token server would be waited for for ever.
    const clientOptions = { transporterOptions: { timeout: idleMs } };
    if (credentials.kind === 'default') return new GoogleAuth({ scopes: SCOPE, clientOptions });
    const key = parseKey(location, await credentials.read());
    return new GoogleAuth({ scopes: SCOPE, clientOptions, credentials: key });
  }
}

/** @throws config `CredentialsMissing`, which does not quote the text */
function parseKey(location: string, text: string): Readonly<Record<string, unknown>> {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw credentialsMissing(location, 'what is given is not JSON');
  }
  const key = keySchema.safeParse(found);
  if (key.success) return key.data;
  throw credentialsMissing(location, 'what is given is no JSON object with a type');
}

/** Why no token could be had. The library's errors carry their request, and are not kept as causes. */
function credentialsError(location: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const { status, code, message } = error as {
    readonly status?: unknown;
    readonly code?: unknown;
    readonly message?: string;
  };
  const failure = {
    status: typeof status === 'number' ? status : null,
    code: typeof code === 'string' ? code : 'no token',
    // A parser would quote the beginning of what it read.
    message: message?.includes('JSON') === true ? 'a file of credentials is not JSON' : (message ?? ''),
  };
  const sent = error instanceof Error && 'config' in error;
  if (sent && failure.status === null && isUnprovenPeer(failure))
    return tokensNotProven(location, shown(failure));
  const passing = failure.status === null || failure.status === 429 || failure.status >= 500;
  if (sent && passing) return storeUnreachable(location, `no token could be had: ${shown(failure)}`);
  return sent ? notAccepted(location, shown(failure)) : credentialsMissing(location, shown(failure));
}

function tokensNotProven(location: string, detail: string): AppError {
  return new AppError({
    code: 'StoreNotProven',
    kind: 'refused',
    message: `What answers in the place of the token server for ${location} did not prove over TLS that it is that (${detail}), so no credentials were sent to it.`,
    hint: 'Add the authority that signed its certificate to those of this host (NODE_EXTRA_CA_CERTS), or correct token_url in the credentials.',
    facts: { location, detail },
  });
}

function notAccepted(location: string, detail: string): AppError {
  return new AppError({
    code: 'StoreDenied',
    kind: 'refused',
    message: `The credentials for ${location} are not accepted (${detail}): nothing can be read or stored there.`,
    hint: 'Give the key of a service account that is in force, then try again.',
    facts: { location, detail },
  });
}

function credentialsMissing(location: string, detail: string): AppError {
  return new AppError({
    code: 'CredentialsMissing',
    kind: 'config',
    message: `No credentials for ${location} can be used (${detail}): nothing can be read or stored there.`,
    hint: 'Give credentials by reference to a service account key (JSON), or supply them the way of Google Cloud (GOOGLE_APPLICATION_CREDENTIALS, gcloud, the service account of the machine).',
    facts: { location },
  });
}
