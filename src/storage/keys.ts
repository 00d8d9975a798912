import { AppError } from '../domain/errors.ts';

/** S3 allows 1024 bytes; the rest is left to the prefix of the store. */
const MAX_KEY_BYTES = 800;
/** What a file system allows for one name. */
const MAX_SEGMENT_BYTES = 255;
const SEGMENT = /^[A-Za-z0-9_.=+@-]+$/;

/** First segment that stores keep for themselves. */
export const RESERVED_SEGMENT = '.pitrail';

/**
 * Refuses a key that could leave its store, hide in it, or be spelled differently by two stores.
 * Keys come from catalog entries too, which somebody may have forged.
 * @throws refused `UnsafeKey`
 */
export function checkKey(key: string): void {
  const segments = key.split('/');
  const reason =
    key.length > MAX_KEY_BYTES
      ? `is longer than ${MAX_KEY_BYTES} characters`
      : segments[0] === RESERVED_SEGMENT
        ? `begins with ${RESERVED_SEGMENT}, which stores keep for themselves`
        : segments.map(segmentFault).find((fault) => fault !== undefined);
  if (reason !== undefined) throw unsafeKey(key, reason);
}

/** Refuses a prefix to list that no key could begin with. @throws refused `UnsafeKey` */
export function checkPrefix(prefix: string): void {
  const segments = prefix.split('/');
  // The last one may be cut anywhere.
  const last = segments.pop() ?? '';
  const fault = segments.map(segmentFault).find((found) => found !== undefined);
  if (fault !== undefined) throw unsafeKey(prefix, fault);
  if (last !== '' && !SEGMENT.test(last)) throw unsafeKey(prefix, 'holds a character that keys have not');
}

function segmentFault(segment: string): string | undefined {
  if (segment === '') return 'has an empty part';
  if (segment === '.' || segment === '..') return `has the part ${segment}`;
  if (segment.length > MAX_SEGMENT_BYTES) return `has a part longer than ${MAX_SEGMENT_BYTES} characters`;
  return SEGMENT.test(segment) ? undefined : 'holds a character other than A-Z a-z 0-9 _ . = + @ -';
}

function unsafeKey(key: string, reason: string): AppError {
  const shown = JSON.stringify(key.slice(0, 120));
  return new AppError({
    code: 'UnsafeKey',
    kind: 'refused',
    message: `The object key ${shown} ${reason}: nothing is read or written under it.`,
    hint: 'If a catalog entry names this key, the catalog was not written by this program.',
    facts: { key: key.slice(0, 120), reason },
  });
}
