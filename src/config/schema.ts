import { z } from 'zod';
import { LISTEN_RULE, readListen } from './listen.ts';

/**
 * The shape of pitrail.yaml as a person writes it. What depends on more than one field is in
 * `cross-checks.ts`; defaults that depend on others are in `settle.ts`.
 */

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const NAME_RULE =
  'must be 1 to 63 letters, digits, dots, hyphens or underscores, starting with a letter or digit';

const name = z.string().regex(NAME, NAME_RULE);
const SIZE = /^([1-9][0-9]*)\s*(B|KiB|MiB|GiB|TiB|K|M|G|T)?$/i;
const size = (example: string) => z.string().regex(SIZE, `must be a size such as ${example}`);
const text = z.string().min(1, 'must not be empty');
const path = z.string().min(1, 'must not be empty').describe('Relative paths are relative to this file.');

const secret = z
  .strictObject({
    file: path.optional().describe('A file that holds the secret and that only its owner may read.'),
    env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
      .optional()
      .describe('An environment variable that holds the secret.'),
  })
  .describe('A reference to a secret: { file: PATH } or { env: NAME }. Never the secret itself.');

const source = z.strictObject({
  id: name.describe('Names this server in commands, workflows and messages.'),
  workerHost: name
    .default('local')
    .describe("The host worker that reads this server's binlogs: pitrail worker --roles host:NAME."),
  socket: path.optional().describe('Unix socket of the server; or give host and port.'),
  host: text.optional(),
  port: z.int().min(1).max(65535).optional().describe('Default: 3306.'),
  tls: z
    .union([
      z.literal('off'),
      z.literal('required'),
      z.strictObject({ verify: z.enum(['ca', 'identity', 'off']).default('ca'), ca: path.optional() }),
    ])
    .optional()
    .describe(
      'For host and port. Default { verify: ca }: an authority in the file ca, or one that this host trusts, ' +
        'must have signed the certificate of the server; verify: identity: it must name the host, too. ' +
        'required (or verify: off) encrypts and proves nothing, off does neither: both are warned of.',
    ),
  user: text,
  password: secret,
  mode: z
    .enum(['host', 'remote'])
    .default('host')
    .describe(
      'host (default): the worker reads the files of the binary logs. remote: it reads them from the server, as a replica does, where nobody may see the files or they are encrypted.',
    ),
  binlogDir: path.optional().describe('For mode host: folder of the binary logs on the host of the worker.'),
  stagingDir: path
    .optional()
    .describe(
      'Where closed binlogs of this source lie until they are archived, in a folder of its own. Default: archive.stagingDir.',
    ),
  replicaServerId: z
    .int()
    .min(1)
    .max(4_294_967_295)
    .optional()
    .describe(
      'For mode remote: the server_id that pitrail gives itself. Default: made from the names, above 2^31.',
    ),
  limitPerSecond: size('20MiB')
    .optional()
    .describe('Bytes per second that go from this source to all stores together. Default: no limit.'),
});

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

const store = z.strictObject({
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

const fallback = z
  .strictObject({
    sources: z
      .array(name)
      .min(1, 'must name at least one source')
      .describe('Sources that take over, in this order. They stand by until the archive is handed to them.'),
    after: z
      .int()
      .min(1)
      .max(86_400)
      .default(5)
      .describe('Seconds for which the source must be unreachable, or its host without a worker.'),
    lagSeconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(300)
      .describe('How long the oldest unarchived log may wait without any progress.'),
    policy: z
      .enum(['refuse', 'resync'])
      .default('refuse')
      .describe(
        'Where the fallback is no continuation of the archive: refuse, or begin anew with a base backup of it.',
      ),
  })
  .describe('Who goes on with the archive when its source fails. Without it nobody does by itself.');

const archive = z.strictObject({
  pollSeconds: z
    .int()
    .min(1)
    .max(3600)
    .default(5)
    .describe('How often a source is asked for closed binlogs.'),
  rotateSeconds: z
    .int()
    .min(0)
    .max(86_400)
    .default(60)
    .describe('An open binlog with transactions in it is closed after this; 0: never by pitrail.'),
  stagingDir: path
    .optional()
    .describe(
      'Where closed binlogs lie until they are archived, in a folder for each cluster and source. Default: pitrail-staging beside binlogDir, where they can be hard-linked; there is none for mode remote.',
    ),
  stagingMaxBytes: size('100GiB')
    .default('100GiB')
    .describe('So much may lie in the staging folder of one source; what does not fit waits on the server.'),
  stageAhead: size('4GiB')
    .default('4GiB')
    .describe('How much of the binlogs of a source of mode remote may lie in stagingDir at once.'),
  parallelTransfers: z.int().min(1).max(64).default(4),
  level: z.int().min(1).max(19).default(3).describe('zstd level.'),
  redundancy: z
    .int()
    .min(1)
    .max(2)
    .default(1)
    .describe(
      'After a handoff, logs whose transactions are archived already are passed over; 2: until another server has brought them, too.',
    ),
  fallback: fallback.optional(),
});

const restore = z.strictObject({
  scratchDir: path.default('/var/tmp/pitrail').describe('Where throw-away servers and fetched bases lie.'),
  mysqld: path.optional().describe('The server program for restores. Default: the one that is found.'),
  memory: size('512MiB or 4GiB')
    .optional()
    .describe('Memory for the throw-away server. Default: decided from what is free.'),
});

const signing = z.strictObject({
  keyFile: path
    .optional()
    .describe('Ed25519 private key (PEM), mode 0600: catalog entries are signed with it.'),
  publicKeyFile: path
    .optional()
    .describe('Ed25519 public key (PEM): entries without its signature are not trusted.'),
});

const cluster = z.strictObject({
  sources: z
    .array(source)
    .default([])
    .describe('The servers that are archived. A restore needs none of them: a store and the key are enough.'),
  stores: z.array(store).min(1, 'must name at least one store'),
  encryption: z
    .union([z.literal('none'), z.strictObject({ keyFile: path })])
    .describe('{ keyFile: PATH }, or the word none: then what is stored is not encrypted.'),
  signing: signing.optional(),
  archive: archive.prefault({}),
  restore: restore.prefault({}),
  auditFile: path
    .optional()
    .describe('The audit log of this machine. Default: audit.jsonl in restore.scratchDir.'),
});

const temporal = z.strictObject({
  address: z
    .string()
    .regex(/^[^\s/@]+:[0-9]{1,5}$/, 'must be host:port')
    .optional(),
  namespace: text.optional(),
  profile: text.optional().describe("A profile of Temporal's own configuration file."),
  apiKey: secret.optional(),
});

const worker = z.strictObject({
  listen: z
    .union([z.int().min(0).max(65_535), z.string().refine((it) => readListen(it) !== undefined, LISTEN_RULE)])
    .optional()
    .describe(
      'Where workers serve metrics and health: PORT (of this host only) or HOST:PORT. Default: nowhere.',
    ),
});

export const configSchema = z
  .strictObject({
    region: name.default('local').describe('Part of the names of task queues.'),
    temporal: temporal.prefault({}),
    worker: worker.prefault({}),
    clusters: z.record(name, cluster),
  })
  .describe('Configuration of pitrail');

/** pitrail.yaml with defaults filled in, before paths and choices are settled. */
export type WrittenConfig = z.output<typeof configSchema>;
export type WrittenCluster = WrittenConfig['clusters'][string];

/** Size in bytes of a text such as `4GiB`; K, M, G and T count in 1024. */
export function parseSize(size: string): number {
  const [, number = '0', unit = 'B'] = SIZE.exec(size) ?? [];
  const power = 'bkmgt'.indexOf(unit.charAt(0).toLowerCase());
  return Number(number) * 1024 ** power;
}

/** JSON schema of pitrail.yaml, for editors. */
export function configJsonSchema(): unknown {
  return z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' });
}
