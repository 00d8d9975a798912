import { z } from 'zod';
import { LISTEN_RULE, readListen } from './listen.ts';
import { store } from './schema-stores.ts';
import { name, path, SIZE, secret, size, text } from './schema-words.ts';

/**
 * The shape of pitrail.yaml as a person writes it. What depends on more than one field is in
 * `cross-checks.ts`; defaults that depend on others are in `settle.ts`.
 */

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
      'From how many servers each transaction is archived. 1: the first source is, the others stand by; 2: two are, side by side. After a handoff, logs whose transactions are archived so often are passed over.',
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
    .describe(
      'Servers that replicate from one another: the first is archived, the others can go on for it. A restore needs none of them: a store and the key are enough.',
    ),
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
