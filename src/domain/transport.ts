/** Older versions of TLS are broken: no connection goes below this, whatever Node's own default is set to. */
export const MINIMUM_TLS = { minVersion: 'TLSv1.2' } as const;

/** Codes of Node and OpenSSL for a certificate that proves nothing, and for a server that speaks no TLS that is allowed. */
const NOT_PROVEN =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_|ERR_TLS_CERT_)/;
const NO_COMMON_VERSION =
  /protocol[ _]version|unsupported[ _]protocol|wrong[ _]version[ _]number|no[ _]protocols[ _]available/i;

/** True where a TLS handshake failed because of what the other side is, not because the network broke. */
export function isUnprovenPeer({
  code,
  message,
}: {
  readonly code: string;
  readonly message: string;
}): boolean {
  if (NOT_PROVEN.test(code)) return true;
  // Where the alert comes while something is being sent, Node has only OpenSSL's words for it.
  return code.startsWith('ERR_SSL_')
    ? NO_COMMON_VERSION.test(code)
    : code === 'EPROTO' && NO_COMMON_VERSION.test(message);
}
