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

/** An S3 action, as a policy names it. */
export type Permission = 's3:PutObject' | 's3:GetObject' | 's3:ListBucket' | 's3:AbortMultipartUpload';

/** Reads code and status out of whatever the client threw. */
export function s3Failure(error: unknown): RequestFailure {
  const { name, code, message, $metadata } = error as {
    readonly name?: string;
    readonly code?: string;
    readonly message?: string;
    readonly $metadata?: { readonly httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode ?? null;
  // Answers to HEAD have no body, and so no code: the client calls those after their status.
  return { code: code ?? name ?? 'Unknown', status, message: message ?? String(error) };
}

const DENIED = new Set([
  'AccessDenied',
  'Forbidden',
  'AllAccessDisabled',
  'AccountProblem',
  'UnauthorizedAccess',
]);
const NOT_ACCEPTED = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidToken',
  'TokenRefreshRequired',
]);
const ELSEWHERE = new Set([
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]);
const ALTERED = new Set([
  'BadDigest',
  'InvalidDigest',
  'XAmzContentChecksumMismatch',
  'XAmzContentSHA256Mismatch',
]);

/** The error of an S3 request as ours; an `AppError` or the reason of an abort stays as it is. */
export function s3Error(
  location: string,
  permission: Permission,
  error: unknown,
  signal?: AbortSignal,
): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof AppError) return error;
  const failure = s3Failure(error);
  const { code, status } = failure;
  if (isUnprovenPeer(failure)) return storeNotProven(location, failure);
  if (code === 'NoSuchBucket') return bucketMissing(location);
  if (code === 'CredentialsProviderError') return credentialsMissing(location, failure.message);
  if (ELSEWHERE.has(code)) return bucketElsewhere(location, failure);
  if (NOT_ACCEPTED.has(code))
    return storeDenied(
      location,
      permission,
      `${code}: the credentials are not accepted`,
      'Correct accessKeyId and secretAccessKey of this store, or what else gives the credentials of this host; they may have expired.',
    );
  if (DENIED.has(code) || status === 401 || status === 403) return storeDenied(location, permission, code);
  if (ALTERED.has(code)) return storeUnreachable(location, `${code}: bytes were altered on the way`);
  if (code === 'NotImplemented' || status === 501) return unsupported(location, failure);
  const passing = status === null || status >= 500 || status === 429 || status === 408 || status === 409;
  if (passing || code === 'RequestTimeout' || code === 'SlowDown')
    return storeUnreachable(location, shown(failure));
  return storeRejected(
    location,
    permission,
    failure,
    'Change what it names, in the bucket or in the configuration of this store.',
  );
}

function bucketElsewhere(location: string, failure: RequestFailure): AppError {
  return new AppError({
    code: 'BucketElsewhere',
    kind: 'config',
    message: `The bucket of ${location} is not in the configured region (${shown(failure)}): it cannot be used.`,
    hint: 'Correct the region of this store in the configuration.',
    facts: { location, error: failure.code },
  });
}

function credentialsMissing(location: string, detail: string): AppError {
  return new AppError({
    code: 'CredentialsMissing',
    kind: 'config',
    message: `No credentials for ${location} were found (${detail.slice(0, 200)}): it cannot be used.`,
    hint: 'Give accessKeyId and secretAccessKey by reference, or supply them the AWS way (environment, profile, instance role).',
    facts: { location },
  });
}

function unsupported(location: string, failure: RequestFailure): AppError {
  return new AppError({
    code: 'StoreUnsupported',
    kind: 'refused',
    message: `${location} does not know a request that is needed (${shown(failure)}): it cannot hold an archive.`,
    hint: 'Use a store with conditional writes (If-None-Match) and uploads in parts.',
    facts: { location, error: failure.code },
  });
}
