import { z } from 'zod';
import { CATALOG_FORMAT, type CatalogEntry } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import {
  parseBackupId,
  parseBinlogName,
  parseRepositoryId,
  parseServerUuid,
  parseSha256,
} from '../domain/identity.ts';
import { BreakFound } from './broken.ts';

/** Text that a parser of the domain takes and gives back unchanged. */
function canonical<T extends string>(what: string, parse: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      const value = parse(text);
      if (value === text) return value;
      context.addIssue({ code: 'custom', message: `${what} is not in its canonical form` });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
    }
    return z.NEVER;
  });
}

const count = z.int().nonnegative();
const instant = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/, 'is not a time in UTC, RFC 3339');
const serverUuid = canonical('server UUID', parseServerUuid);
const binlog = canonical('binlog name', parseBinlogName);
const sha256 = canonical('SHA-256', parseSha256);
/** Canonical, with or without the server's line feeds between UUIDs. */
const gtidSet = canonical('GTID set', (text) => {
  const set = GtidSet.parse(text).toString();
  return text.includes('\n') ? set : set.replaceAll('\n', '');
});

const storedObject = z.strictObject({
  key: z.string().min(1).max(1024),
  lengthBytes: count,
  sha256,
  crc32: z.string().regex(/^[0-9a-f]{8}$/),
  compression: z.literal('zstd'),
  encryption: z.enum(['aws-encryption-sdk', 'none']),
});

const segment = z.strictObject({
  serverUuid,
  binlog,
  serverVersion: z.string(),
  createdAt: instant,
  previousGtids: gtidSet,
  gtids: gtidSet,
  transactions: count,
  anonymousTransactions: count,
  firstCommit: instant.nullable(),
  lastCommit: instant.nullable(),
  maxCommit: instant.nullable(),
  clockInversions: count,
  lengthBytes: count,
  sha256,
  closedBy: z.enum(['rotate', 'stop', 'recovery']),
  eventDdl: count,
  xaPrepares: count,
  temporaryTables: count,
});

const preparedXa = z.strictObject({
  formatId: z.int(),
  gtridLength: count,
  bqualLength: count,
  dataHex: z.string().regex(/^(?:[0-9a-fA-F]{2})*$/),
});

const backup = z.strictObject({
  backupId: canonical('backup id', parseBackupId),
  engine: z.literal('clone'),
  serverUuid,
  serverVersion: z.string(),
  coordinates: z.strictObject({
    gtidExecuted: gtidSet,
    gtidPurged: gtidSet,
    binlog: z.string(),
    position: count,
  }),
  startedAt: instant,
  finishedAt: instant,
  lowerCaseTableNames: count,
  characterSetServer: z.string(),
  collationServer: z.string(),
  dataBytes: count,
  tarBytes: count,
  tarSha256: sha256,
  preparedXa: z.array(preparedXa),
  schemaSha256: sha256,
  timeline: count,
});

const sourceRef = z.strictObject({ source: z.string().min(1), serverUuid });

const handoffRoute = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('source'),
    from: z.strictObject({ source: z.string().min(1), serverUuid: serverUuid.nullable() }),
    to: sourceRef,
    continuity: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('continues'), timeline: count, baselineGtids: gtidSet }),
      z.strictObject({ kind: z.literal('resync'), lostGtids: gtidSet, gapGtids: gtidSet }),
    ]),
  }),
  z.strictObject({ kind: z.literal('store'), from: z.string().min(1), to: z.string().min(1) }),
]);

const bodies = {
  'repository-created': z.strictObject({
    kind: z.literal('repository-created'),
    cluster: z.string().min(1),
    createdBy: z.string(),
  }),
  'timeline-started': z.strictObject({
    kind: z.literal('timeline-started'),
    timeline: count,
    parent: count.nullable(),
    serverUuid,
    reason: z.enum(['first', 'reset', 'diverged']),
    detail: z.string(),
  }),
  'segment-archived': z.strictObject({
    kind: z.literal('segment-archived'),
    timeline: count,
    segment,
    object: storedObject,
  }),
  'segment-refused': z.strictObject({
    kind: z.literal('segment-refused'),
    serverUuid,
    binlog: z.string(),
    reason: z.string(),
    detail: z.string(),
  }),
  'backup-registered': z.strictObject({ kind: z.literal('backup-registered'), backup, object: storedObject }),
  'gap-accepted': z.strictObject({
    kind: z.literal('gap-accepted'),
    timeline: count,
    serverUuid,
    missingGtids: gtidSet,
    detail: z.string(),
  }),
  handoff: z.strictObject({
    kind: z.literal('handoff'),
    route: handoffRoute,
    reason: z.enum(['operator', 'source-unreachable', 'queue-silent', 'lag', 'circuit-open', 'switch-back']),
    detail: z.string(),
  }),
  'handoff-validated': z.strictObject({
    kind: z.literal('handoff-validated'),
    handoffEpoch: z.int().positive(),
    verdict: z.enum(['validated', 'failed']),
    lagSeconds: count.nullable(),
    lagTransactions: count,
    detail: z.string(),
  }),
} satisfies Record<CatalogEntry['body']['kind'], z.ZodType>;

const entrySchema: z.ZodType<CatalogEntry> = z.strictObject({
  format: z.literal(CATALOG_FORMAT),
  sequence: z.int().positive(),
  repositoryId: canonical('repository id', parseRepositoryId),
  previous: sha256.nullable(),
  writer: z.string().min(1),
  epoch: count,
  writtenAt: instant,
  body: z.discriminatedUnion('kind', [
    bodies['repository-created'],
    bodies['timeline-started'],
    bodies['segment-archived'],
    bodies['segment-refused'],
    bodies['backup-registered'],
    bodies['gap-accepted'],
    bodies.handoff,
    bodies['handoff-validated'],
  ]),
  signature: z.base64().nullable(),
});

/** The part of an entry that every format shares: enough to tell a newer one from a broken one. */
const outline = z.looseObject({ format: z.int().positive(), body: z.looseObject({ kind: z.string() }) });

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decodes the stored bytes of an entry, strictly: no unknown field, no text that is not canonical.
 * @throws BreakFound (malformed) where these bytes are no entry; refused `NewerCatalogFormat` where
 *   a later version of pitrail wrote them
 */
export function decodeEntry(bytes: Uint8Array, sequence: number): CatalogEntry {
  const json = parseJson(bytes, sequence);
  const result = entrySchema.safeParse(json);
  if (result.success) return result.data;
  refuseNewer(json, sequence);
  const issue = result.error.issues[0];
  const place = issue === undefined || issue.path.length === 0 ? 'the entry' : issue.path.join('.');
  throw malformed(sequence, `${place}: ${issue?.message ?? 'no entry'}`);
}

function parseJson(bytes: Uint8Array, sequence: number): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError)
      throw malformed(sequence, 'it is no JSON');
    throw error;
  }
}

function refuseNewer(json: unknown, sequence: number): void {
  const seen = outline.safeParse(json);
  if (!seen.success) return;
  const { format, body } = seen.data;
  if (format <= CATALOG_FORMAT && body.kind in bodies) return;
  const what =
    format > CATALOG_FORMAT ? `format ${format}` : `kind ${JSON.stringify(body.kind.slice(0, 40))}`;
  throw new AppError({
    code: 'NewerCatalogFormat',
    kind: 'refused',
    message:
      `Catalog entry ${sequence} has ${what}, which this version of pitrail does not know ` +
      `(it reads format ${CATALOG_FORMAT}), so it cannot tell what the store holds.`,
    hint: 'Use the version of pitrail that wrote this entry, or a later one.',
    facts: { sequence, format, kind: body.kind.slice(0, 40) },
  });
}

function malformed(sequence: number, detail: string): BreakFound {
  return new BreakFound({
    sequence,
    reason: 'malformed',
    detail: `entry ${sequence} cannot be read: ${detail}`,
  });
}
