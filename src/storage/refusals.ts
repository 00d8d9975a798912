import { AppError, type ErrorFacts } from '../domain/errors.ts';
import type { Sha256 } from '../domain/identity.ts';
import { type Unproven, whyUnproven } from '../domain/transport.ts';
import type { ReadOptions } from './object-store.ts';

/** What an error of a request to a bucket says, without the request (which carries credentials). */
export interface RequestFailure {
  /** HTTP status; null where no answer came. */
  readonly status: number | null;
  /** The reason that the store names, or the system's code for network errors. */
  readonly code: string;
  readonly message: string;
}

/** For people: what went wrong with a request, in one line. */
export function shown({ code, status, message }: RequestFailure): string {
  const told = message === '' || message === code ? '' : `: ${message.slice(0, 200)}`;
  return `${code}${status === null || code.endsWith(` ${status}`) ? '' : ` ${status}`}${told}`;
}

/** `read` of a key under which nothing lies. */
export function objectMissing(location: string, key: string): AppError {
  return new AppError({
    code: 'ObjectMissing',
    kind: 'refused',
    message: `${location} holds no object ${key}, so what it should hold cannot be read from there.`,
    hint: 'Read it from another store that holds it, or restore it there.',
    facts: { location, key },
  });
}

/** A permission is missing; `permission` is its name in the words of the store. */
export function storeDenied(
  location: string,
  permission: string,
  detail: string,
  hint = `Grant ${permission} to the credentials or user in use, then try again.`,
): AppError {
  return new AppError({
    code: 'StoreDenied',
    kind: 'refused',
    message: `${location} denies ${permission} (${detail}), so this cannot be done there.`,
    hint,
    facts: { location, permission, detail },
  });
}

const UNPROVEN_HINTS: Readonly<Record<Unproven, string>> = {
  expired: 'Renew the certificate of the store; nothing has to be done here then.',
  'not-valid-yet': 'Set the clock of this host right, or that of whoever made the certificate of the store.',
  'other-name':
    'Correct the name in the endpoint, or have the certificate of the store made for the name that stands there.',
  'unknown-authority':
    'Give the file of the authority that signed its certificate (caFile), or find out who answers in its place.',
  'no-common-version': 'Have the store speak TLS 1.2 or later.',
};

/** What answers did not prove over TLS that it is the store; nothing was sent to it. */
export function storeNotProven(location: string, failure: RequestFailure): AppError {
  const detail = shown(failure);
  return new AppError({
    code: 'StoreNotProven',
    kind: 'refused',
    message: `What answers for ${location} did not prove over TLS that it is the store (${detail}), so nothing was sent to it.`,
    hint: UNPROVEN_HINTS[whyUnproven(failure)],
    facts: { location, detail },
  });
}

/** There is no bucket of the configured name. */
export function bucketMissing(location: string): AppError {
  return new AppError({
    code: 'BucketMissing',
    kind: 'config',
    message: `The bucket of ${location} does not exist: nothing can be stored or found there.`,
    hint: 'Create the bucket, or correct its name, endpoint and region in the configuration.',
    facts: { location },
  });
}

/** The store refuses a request for what it asks. */
export function storeRejected(
  location: string,
  permission: string,
  failure: RequestFailure,
  hint: string,
): AppError {
  return new AppError({
    code: 'StoreRejected',
    kind: 'refused',
    message: `${location} rejects ${permission} (${shown(failure)}): the same request would fail again.`,
    hint,
    facts: { location, permission, error: failure.code, status: failure.status },
  });
}

/** The store cannot be reached or used now; it may come back. */
export function storeUnreachable(location: string, detail: string, cause?: unknown): AppError {
  return new AppError({
    code: 'StoreUnreachable',
    kind: 'unavailable',
    message: `${location} cannot be used now (${detail}). Nothing was lost; it is tried again.`,
    hint: 'Check that the store is up and reachable from this host.',
    facts: { location, detail },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The store is reached and says nothing: neither the work nor a small question is answered. */
export function storeStalled(location: string, silentMs: number): AppError {
  const seconds = Math.round(silentMs / 1000);
  return new AppError({
    code: 'StoreStalled',
    kind: 'unavailable',
    message: `${location} has answered nothing for ${seconds} s, so what was under way there was given up. Nothing was lost; it is tried again.`,
    hint: 'Check the store and the network between it and this host.',
    facts: { location, silentMs: Math.round(silentMs) },
  });
}

/** A body gave another number of bytes than was announced; nothing was created. */
export function bodyLengthDiffers(key: string, announced: number, found: number): AppError {
  return new AppError({
    code: 'BodyLengthDiffers',
    kind: 'corrupt',
    message: `The body for ${key} has ${found} bytes where ${announced} were announced: it changed on its way, and nothing was stored.`,
    facts: { key, announced, found },
  });
}

/** The store gave other bytes than it promised or was given. */
export function storedDiffers(location: string, key: string, detail: string): AppError {
  return new AppError({
    code: 'StoredDiffers',
    kind: 'corrupt',
    message: `${key} in ${location} is not what was stored: ${detail}. It cannot be relied on.`,
    hint: 'Take it from another store that holds it, and find out what changed it here.',
    facts: { location, key, detail },
  });
}

/** Other content stands under a key that was to be created. */
export function otherContent(location: string, key: string, found: Sha256, expected: Sha256): AppError {
  return new AppError({
    code: 'OtherContent',
    kind: 'conflict',
    message: `${location} holds other content under ${key} (SHA-256 ${found}, not ${expected}): nothing was overwritten and nothing stored.`,
    hint: 'Two writers share this prefix, or somebody wrote there by hand. Find out who, and give one of them another prefix.',
    facts: { location, key, found, expected },
  });
}

/** Adds to a failure, which is what counts, that cleaning up after it failed too; `note` says what stays behind. */
export function withAftermath(
  failure: unknown,
  aftermath: unknown,
  note: string,
  facts: ErrorFacts = {},
): unknown {
  if (!(failure instanceof AppError) || !(aftermath instanceof AppError)) return failure;
  return new AppError({
    code: failure.code,
    kind: failure.kind,
    message: `${failure.message} ${note} (${aftermath.code})`,
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    facts: { ...failure.facts, ...facts, abort: aftermath.message },
    cause: failure,
  });
}

/** The bytes from `start` (inclusive) to `end` (exclusive, Infinity for all). @throws bug `RangeMalformed` */
export function requestedRange(options: ReadOptions): { readonly start: number; readonly end: number } {
  const { offset = 0, lengthBytes = Number.POSITIVE_INFINITY } = options;
  const fits = Number.isSafeInteger(offset) && offset >= 0 && lengthBytes >= 0 && !Number.isNaN(lengthBytes);
  if (fits) return { start: offset, end: offset + lengthBytes };
  throw new AppError({
    code: 'RangeMalformed',
    kind: 'bug',
    message: `The range of ${lengthBytes} bytes from ${offset} is none, so nothing was read.`,
  });
}
