import { AppError } from '../../domain/errors.ts';
import { isUnprovenPeer } from '../../domain/transport.ts';
import {
  bucketMissing,
  type RequestFailure,
  shown,
  storeDenied,
  storeNotProven,
  storeRejected,
  storeUnreachable,
} from '../refusals.ts';

/** A permission, as a role names it. */
export type Permission = 'storage.objects.create' | 'storage.objects.get' | 'storage.objects.list';

/** An answer other than what was asked for. */
export class UnexpectedAnswer extends Error implements RequestFailure {
  readonly status: number;
  readonly code: string;

  constructor(status: number, body: string) {
    const { message, reason } = errorIn(body);
    super(message);
    this.status = status;
    this.code = reason ?? `HTTP ${status}`;
  }
}

/** Reads the error document of the JSON API; reading an object answers plain text instead. */
function errorIn(body: string): { readonly message: string; readonly reason: string | undefined } {
  let told: unknown;
  try {
    told = (JSON.parse(body) as { readonly error?: unknown } | null)?.error;
  } catch {
    // No JSON: the text itself is the message.
  }
  if (typeof told !== 'object' || told === null) return { message: body.trim(), reason: undefined };
  const { message, errors } = told as { readonly message?: unknown; readonly errors?: unknown };
  const reason: unknown = Array.isArray(errors) ? errors[0]?.reason : undefined;
  return {
    message: typeof message === 'string' ? message : '',
    reason: typeof reason === 'string' ? reason : undefined,
  };
}

/** Reads status and code out of whatever a request threw. */
export function gcsFailure(error: unknown): RequestFailure {
  if (error instanceof UnexpectedAnswer) return error;
  const { code, message, name } = error as {
    readonly code?: unknown;
    readonly message?: string;
    readonly name?: string;
  };
  return {
    status: null,
    code: typeof code === 'string' ? code : (name ?? 'Unknown'),
    message: message ?? String(error),
  };
}

const REJECTED_HINT =
  'If retentionDays or hold are configured, the bucket must allow them: object retention is switched on when a bucket is made.';
const TOO_MUCH = new Set(['rateLimitExceeded', 'userRateLimitExceeded', 'quotaExceeded']);

/** Whether the same request may go well a moment later. */
export function isPassing(failure: RequestFailure): boolean {
  const { status, code } = failure;
  if (status === null) return !isUnprovenPeer(failure);
  if (status === 408 || status === 429) return true;
  if (status >= 500) return status !== 501;
  return status === 403 && TOO_MUCH.has(code);
}

/** The server has compared a checksum with the bytes that came: they are not those that were sent. */
export function isAltered({ status, message }: RequestFailure): boolean {
  return status === 400 && /crc32c|md5|checksum|hash/i.test(message);
}

/** The permission that Google's message names. */
export function permissionIn(message: string): string | undefined {
  return /\bstorage\.[a-z]+\.[A-Za-z]+\b/.exec(message)?.[0];
}

/** A 404 does not tell by its status whether the object is missing or its bucket. */
export function isBucketMissing({ status, message }: RequestFailure): boolean {
  return status === 404 && /bucket does not exist/i.test(message);
}

/** The error of a request as ours; an `AppError` or the reason of an abort stays as it is. */
export function gcsError(
  location: string,
  permission: Permission,
  error: unknown,
  signal?: AbortSignal,
): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof AppError) return error;
  const failure = gcsFailure(error);
  const { status, message } = failure;
  if (status === null && isUnprovenPeer(failure)) return storeNotProven(location, failure);
  if (isAltered(failure))
    return storeUnreachable(location, `bytes were altered on the way: ${shown(failure)}`);
  if (isPassing(failure)) return storeUnreachable(location, shown(failure));
  if (status === 401)
    return storeDenied(location, permission, `${shown(failure)}: the credentials are not accepted`);
  if (status === 403) return storeDenied(location, permissionIn(message) ?? permission, shown(failure));
  if (status === 404) return bucketMissing(location);
  return storeRejected(location, permission, failure, REJECTED_HINT);
}
