import { AppError } from '../domain/errors.ts';

/** S3's limit for names and values together. */
const MAX_METADATA_BYTES = 2048;
const NAME = /^[a-z0-9_-]+$/;
/** Printable ASCII without a space at either end, which an HTTP header would lose. */
const VALUE = /^(?:[!-~](?:[ -~]*[!-~])?)?$/;

/**
 * Refuses metadata that some store would change on its way: names other than lower case, values
 * that are not printable ASCII, more than 2 KiB.
 * @throws refused `MetadataUnfit`
 */
export function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  const entries = Object.entries(metadata);
  const bytes = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  const odd = entries.find(([name, value]) => !NAME.test(name) || !VALUE.test(value));
  if (odd === undefined && bytes <= MAX_METADATA_BYTES) return;
  const reason = odd === undefined ? `takes ${bytes} of ${MAX_METADATA_BYTES} bytes` : 'is not plain ASCII';
  const name = odd?.[0].slice(0, 60) ?? null;
  throw new AppError({
    code: 'MetadataUnfit',
    kind: 'refused',
    message: `The object metadata${name === null ? '' : ` ${JSON.stringify(name)}`} ${reason}: a store would lose or change it, so nothing was stored.`,
    facts: { name, bytes },
  });
}
