import { z } from 'zod';
import { name, path, secret, size, text } from './schema-words.ts';

const prefix = z
  .string()
  .regex(/^(?!\/)(?!.*\/$)(?!.*\/\/)[\x21-\x7e]*$/, 'must not start or end with a slash')
  .default('');
const endpoint = z
  .url({ protocol: /^https?$/, error: 'must be a URL that starts with http:// or https://' })
  .optional();
const caFile = path
  .optional()
  .describe('PEM file of the authorities that may have signed the certificate of the endpoint.');

const s3 = z.strictObject({
  bucket: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
      'must be a bucket name: 3 to 63 lower-case letters, digits, dots, hyphens',
    ),
  region: text,
  prefix,
  endpoint,
  caFile,
  pathStyle: z.boolean().default(false).describe('For most servers other than AWS: true.'),
  accessKeyId: secret
    .optional()
    .describe('Without it the usual AWS sources (environment, profile, instance role) are asked.'),
  secretAccessKey: secret.optional(),
});

const gcs = z.strictObject({
  bucket: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/,
      'must be a bucket name: 3 or more lower-case letters, digits, dots, hyphens, underscores',
    ),
  prefix,
  endpoint: endpoint.describe("Another server than Google's; http:// needs credentials: anonymous."),
  caFile,
  projectId: text
    .optional()
    .describe("The project that requests are billed to, where the bucket's requester pays."),
  credentials: z
    .union([z.literal('anonymous'), secret])
    .optional()
    .describe(
      'A service account key (JSON) by reference, or the word anonymous for an emulator. ' +
        'Without it the usual sources of Google Cloud (environment, gcloud, the service account of the machine) are asked.',
    ),
  retentionDays: z
    .int()
    .min(1)
    .max(36_500)
    .optional()
    .describe('No object may be deleted for so long; the bucket must allow object retention.'),
  retentionMode: z
    .enum(['unlocked', 'locked'])
    .optional()
    .describe(
      'Whether retention may be shortened by those who have the permission (unlocked, the default) or by nobody.',
    ),
  hold: z
    .enum(['event-based', 'temporary'])
    .optional()
    .describe('Every object is created under this hold, and cannot be deleted until somebody releases it.'),
});

/** One entry of `stores`. */
export const store = z.strictObject({
  id: name,
  directory: path.optional().describe('A folder; or give s3 or gcs.'),
  s3: s3.optional().describe('A bucket at AWS, or at any server that speaks S3.'),
  gcs: gcs.optional().describe('A bucket of Google Cloud Storage.'),
  policy: z
    .enum(['required', 'catch-up'])
    .default('required')
    .describe(
      'required: nothing is archived before this store has it; catch-up: gets all, and nobody waits for it.',
    ),
  limitPerSecond: size('20MiB')
    .optional()
    .describe('Bytes per second to this store, and as many from it, of one worker. Default: no limit.'),
  verify: z
    .enum(['full', 'first-8k'])
    .default('full')
    .describe(
      'How a stored binlog is proven before it counts as archived: read back whole, or its first 8 KiB with length and checksum.',
    ),
});
