import { AppError, type ErrorKind } from '../domain/errors.ts';

/** Errors of a connection attempt or a lost connection, by Node's and mysql2's codes. */
const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
  'PROTOCOL_CONNECTION_LOST',
]);
/** What Node says of a TLS handshake that the network broke off; mysql2 hides its code. */
const BROKEN_OFF = /socket disconnected|socket hang up|ECONNRESET|EPIPE|ETIMEDOUT|bad record mac/;

/**
 * Server errors after which the same statement may succeed (MySQL: share/messages_to_clients.txt):
 * too many connections 1040, shutdown 1053, lock wait timeout 1205, deadlock 1213, query interrupted 1317,
 * too many user connections 1203, session killed 3169, idle for too long 4031, clone in progress 3863 and 3875.
 */
const PASSING_ERRORS = new Set([1040, 1053, 1203, 1205, 1213, 1317, 3169, 3863, 3875, 4031]);
/** Access denied: to the server, a database, a table, a column, a routine, for lack of a privilege. */
const DENIED_ERRORS = new Set([1044, 1045, 1142, 1143, 1227, 1370, 1698]);
/** Only wrong SQL text gives these. */
const SYNTAX_ERRORS = new Set([1064, 1149]);

interface DriverError {
  readonly message: string;
  readonly code?: string;
  readonly errno?: number;
  readonly sqlState?: string;
  /** The whole statement, which may hold a password. */
  sql?: string;
}

/** Turns what mysql2 throws into an AppError that names the server, and the user or grant where that is the matter. */
export function toAppError(
  error: unknown,
  context: { readonly where: string; readonly user: string },
): AppError {
  if (error instanceof AppError) return error;
  if (!(error instanceof Error)) throw error;
  const driver: DriverError = error;
  delete driver.sql;
  const facts = {
    server: context.where,
    user: context.user,
    code: driver.code ?? null,
    errno: driver.errno ?? null,
    sqlState: driver.sqlState ?? null,
  };
  const { kind, code, message, hint } = explain(driver, context);
  return new AppError({ code, kind, message, facts, cause: error, ...(hint === null ? {} : { hint }) });
}

interface Explanation {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

function explain(error: DriverError, { where, user }: { where: string; user: string }): Explanation {
  const errno = error.errno ?? 0;
  const said = error.message;
  if (error.code === 'HANDSHAKE_NO_SSL_SUPPORT') return noTls(where);
  if (error.code === 'HANDSHAKE_SSL_ERROR' && !BROKEN_OFF.test(said)) return notProven(where, said);
  if (DENIED_ERRORS.has(errno)) {
    const message = `MySQL at ${where} denies this to user '${user}': ${said}`;
    return { kind: 'refused', code: 'MysqlAccessDenied', message, hint: deniedHint(errno, user) };
  }
  if (PASSING_ERRORS.has(errno)) {
    const message = `MySQL at ${where} cannot do this now: ${said}`;
    return { kind: 'unavailable', code: 'MysqlBusy', message, hint: null };
  }
  if (SYNTAX_ERRORS.has(errno)) {
    return {
      kind: 'bug',
      code: 'MysqlSyntax',
      message: `MySQL at ${where} does not accept: ${said}`,
      hint: null,
    };
  }
  if (error.sqlState !== undefined && !CONNECTION_CODES.has(error.code ?? '')) {
    return {
      kind: 'refused',
      code: 'MysqlRefused',
      message: `MySQL at ${where} refuses: ${said}`,
      hint: null,
    };
  }
  const message = `MySQL at ${where} cannot be reached: ${said === '' ? (error.code ?? 'no reason given') : said}`;
  const hint = 'Check that the server runs and that the socket, or host and port, are right.';
  return { kind: 'unavailable', code: 'MysqlUnreachable', message, hint };
}

function noTls(where: string): Explanation {
  return {
    kind: 'refused',
    code: 'MysqlWithoutTls',
    message: `MySQL at ${where} offers no TLS, so nothing was sent to it: the password neither.`,
    hint: 'Turn TLS on in the server. Where nobody can listen in between, say tls: off.',
  };
}

function notProven(where: string, said: string): Explanation {
  return {
    kind: 'refused',
    code: 'MysqlNotProven',
    message: `What answers at ${where} did not prove over TLS that it is the server (${said}), so nothing was sent to it: the password neither.`,
    hint: "Give the file of the authority that signed the server's certificate: tls: { ca: FILE } (for MySQL's own: ca.pem in the data folder). For verify: identity the certificate must name this host.",
  };
}

function deniedHint(errno: number, user: string): string {
  return errno === 1045 || errno === 1698
    ? `Check the password of '${user}' and from which hosts it may connect.`
    : `Grant '${user}' the privilege that the server names.`;
}
