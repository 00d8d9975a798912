/** Older versions of TLS are broken: no connection goes below this, whatever Node's own default is set to. */
export const MINIMUM_TLS = { minVersion: 'TLSv1.2' } as const;

/** Codes of Node and OpenSSL for a certificate that proves nothing, and for a server that speaks no TLS that is allowed. */
const NOT_PROVEN =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_|ERR_TLS_CERT_)/;
const NO_COMMON_VERSION =
  /protocol[ _]version|unsupported[ _]protocol|wrong[ _]version[ _]number|no[ _]protocols[ _]available/i;

interface Handshake {
  /** Of Node or OpenSSL. */
  readonly code: string;
  readonly message: string;
}

/** What of the other side proves nothing. */
export type Unproven = 'expired' | 'not-valid-yet' | 'other-name' | 'unknown-authority' | 'no-common-version';

/** Tells why what answered proved nothing; whatever is wrong with the chain of authorities is `unknown-authority`. */
export function whyUnproven({ code }: Handshake): Unproven {
  if (code === 'CERT_HAS_EXPIRED') return 'expired';
  if (code === 'CERT_NOT_YET_VALID') return 'not-valid-yet';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') return 'other-name';
  return NOT_PROVEN.test(code) ? 'unknown-authority' : 'no-common-version';
}

/** True where a TLS handshake failed because of what the other side is, not because the network broke. */
export function isUnprovenPeer({ code, message }: Handshake): boolean {
  if (NOT_PROVEN.test(code)) return true;
  // Where the alert comes while something is being sent, Node has only OpenSSL's words for it.
  return code.startsWith('ERR_SSL_')
    ? NO_COMMON_VERSION.test(code)
    : code === 'EPROTO' && NO_COMMON_VERSION.test(message);
}
