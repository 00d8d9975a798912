import { z } from 'zod';

/** What many keys of pitrail.yaml are made of. */

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const NAME_RULE =
  'must be 1 to 63 letters, digits, dots, hyphens or underscores, starting with a letter or digit';

export const name = z.string().regex(NAME, NAME_RULE);
export const SIZE = /^([1-9][0-9]*)\s*(B|KiB|MiB|GiB|TiB|K|M|G|T)?$/i;
export const size = (example: string) => z.string().regex(SIZE, `must be a size such as ${example}`);
export const text = z.string().min(1, 'must not be empty');
export const path = z
  .string()
  .min(1, 'must not be empty')
  .describe('Relative paths are relative to this file.');

export const secret = z
  .strictObject({
    file: path.optional().describe('A file that holds the secret and that only its owner may read.'),
    env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
      .optional()
      .describe('An environment variable that holds the secret.'),
  })
  .describe('A reference to a secret: { file: PATH } or { env: NAME }. Never the secret itself.');
