import { z } from 'zod';
import type { DestructiveOp } from '../../binlog/locate-tally.ts';
import { pickCluster } from '../../config/pick.ts';
import { EXIT_CODES } from '../../domain/errors.ts';
import { parseInstant } from '../../domain/time.ts';
import { type Archive, openArchive } from '../../restoring/archive.ts';
import {
  type FoundStatement,
  type LocateRequest,
  locateInArchive,
  segmentsToSearch,
} from '../../restoring/locate-archive.ts';
import { requireOneHistory } from '../../restoring/read-union.ts';
import { type CliContext, defineCommand } from '../command.ts';
import { isDegraded, sayFallovers, sayPassedOver } from '../restore/degraded.ts';
import { formatCount } from '../words.ts';

const OPS = [
  'drop',
  'drop-database',
  'truncate',
  'alter',
  'delete',
  'update',
] as const satisfies readonly DestructiveOp[];

/** What is told at most; the search ends there. */
const DEFAULT_LIMIT = 1000;
/** The list is kept in memory until it is printed. */
const MAX_LIMIT = 100_000;

/** A statement with the command that restores to just before it. */
interface Told extends Omit<FoundStatement, 'target'> {
  readonly restore: string;
}

/** Whether the list is all there is. Where it was cut, the first statement that it does not tell; more were not looked for. */
type Extent =
  | { readonly kind: 'all' }
  | {
      readonly kind: 'cut';
      readonly limit: number;
      readonly next: Pick<FoundStatement, 'gtid' | 'committedAt' | 'serverUuid' | 'binlog' | 'position'>;
    };

export const command = defineCommand({
  description:
    'Finds statements that destroyed data in the archived binlogs: DROP, TRUNCATE, dropped columns, and DELETE and UPDATE with their numbers of rows, and prints the restore that stops just before each. Reads only; what is not archived yet is not seen. Exit code 3 where nothing is found.',
  arguments: [],
  options: [
    {
      flags: '--since <time>',
      description: 'look at what was committed from then on; RFC 3339 with zone; must be given',
    },
    { flags: '--until <time>', description: 'and up to then; default: the end of the archive' },
    { flags: '--table <name>', description: 'as schema.table; default: any' },
    { flags: '--op <kinds>', description: `${OPS.join(', ')}; several with commas between; default: any` },
    {
      flags: '--limit <number>',
      description: `tell so many in the order of commit, and stop there; default: ${DEFAULT_LIMIT}, at most ${MAX_LIMIT}`,
    },
    { flags: '--cluster <name>', description: 'where more than one is configured' },
    {
      flags: '--store <id>',
      description: 'read from this store only; default: all that can be read, together',
    },
    { flags: '--timeline <number>', description: 'a line of history; default: the newest' },
  ],
  examples: [
    {
      line: 'pitrail locate --table shop.orders --op drop,truncate --since 2026-11-20T10:00:00Z',
      says: 'who removed a table',
    },
    {
      line: 'pitrail locate --op delete --since 2026-11-20T10:00:00Z --json | jq ".statements[] | select(.rows > 1000)"',
      says: 'large deletes',
    },
  ],
  schema: z.strictObject({
    since: z.string({ error: 'say from when on to look, such as --since 2026-11-20T10:00:00Z' }),
    until: z.string().nullable().default(null),
    table: z
      .string()
      .regex(/^[^.]+\.[^.]+$/, 'is written as schema.table')
      .nullable()
      .default(null),
    op: z
      .string()
      .default('')
      .transform((text) => text.split(',').filter((op) => op !== ''))
      .pipe(z.array(z.enum(OPS, { error: `takes ${OPS.join(', ')}` }))),
    limit: z.coerce
      .number()
      .int('must be a whole number')
      .positive()
      .max(MAX_LIMIT, `is ${MAX_LIMIT} at most: narrow the search by --since, --until, --table or --op`)
      .default(DEFAULT_LIMIT),
    cluster: z.string().nullable().default(null),
    store: z.string().nullable().default(null),
    timeline: z.coerce.number().int('must be a whole number').nonnegative().nullable().default(null),
  }),
  async run(context, { options }) {
    const { since, until, table, op, timeline } = options;
    const [schema = '', name = ''] = table?.split('.') ?? [];
    const request: LocateRequest = {
      table: table === null ? null : { schema, name },
      ops: op,
      since: parseInstant(since),
      until: until === null ? null : parseInstant(until),
      timeline,
    };
    const archive = await openArchive(pickCluster(await context.config(), options.cluster), options.store);
    try {
      sayPassedOver(context.output, archive.passedOver);
      requireOneHistory(archive, timeline);
      const { statements, extent } = await search(context, archive, request, options.limit, options);
      if (extent.kind === 'all') sayReach(context, archive, request);
      context.output.result({ statements, extent }, () => describe(statements, extent));
      sayFallovers(context.output, archive.fallovers);
      if (isDegraded(archive)) return EXIT_CODES.unavailable;
      return statements.length === 0 ? EXIT_CODES.refused : 0;
    } finally {
      await archive.close();
    }
  },
});

/** Where was searched, as far as the user said it. */
interface Where {
  readonly cluster: string | null;
  readonly store: string | null;
  readonly timeline: number | null;
}

/**
 * The command that stops just before a statement, in the history that was searched: another timeline may
 * hold the same GTID. Nothing in it needs quoting: names, ids and targets have no such character.
 */
export function restoreLine(target: string, { cluster, store, timeline }: Where): string {
  return [
    `pitrail restore --to ${target}`,
    ...(cluster === null ? [] : [`--cluster ${cluster}`]),
    ...(store === null ? [] : [`--store ${store}`]),
    ...(timeline === null ? [] : [`--timeline ${timeline}`]),
  ].join(' ');
}

async function search(
  { signal, progress }: CliContext,
  archive: Archive,
  request: LocateRequest,
  limit: number,
  asked: Where,
): Promise<{ statements: Told[]; extent: Extent }> {
  const segments = segmentsToSearch(archive.facts, request);
  const bar = progress(
    'searching',
    segments.reduce((sum, { segment }) => sum + segment.lengthBytes, 0),
  );
  const statements: Told[] = [];
  let doneBytes = 0;
  try {
    const found = locateInArchive(archive.reader, segments, request, signal, (bytes) => {
      doneBytes += bytes;
      bar.update(doneBytes);
    });
    for await (const { target, ...statement } of found) {
      if (statements.length === limit) return { statements, extent: cutBefore(statement, limit) };
      statements.push({ ...statement, restore: restoreLine(target, asked) });
    }
  } finally {
    bar.stop();
  }
  return { statements, extent: { kind: 'all' } };
}

function cutBefore(
  { gtid, committedAt, serverUuid, binlog, position }: Omit<FoundStatement, 'target'>,
  limit: number,
): Extent {
  return { kind: 'cut', limit, next: { gtid, committedAt, serverUuid, binlog, position } };
}

/** Someone who looks for what just happened must know that it may not be archived yet. */
function sayReach({ output }: CliContext, { facts }: Archive, { until }: LocateRequest): void {
  const last = facts.segments.at(-1)?.segment.lastCommit ?? null;
  if (last === null) output.say('Nothing is archived yet.');
  else if (until === null || until > parseInstant(last)) {
    output.say(`The archive ends at ${last}; later statements are found once they are archived.`);
  }
}

function describe(statements: readonly Told[], extent: Extent): string {
  if (statements.length === 0) return 'Nothing of that kind is in the archive.';
  const blocks = statements.map((found) =>
    [
      `${found.op.toUpperCase()} ${found.tables.join(', ')}${rowWords(found.rows)}`,
      `  ${found.gtid ?? 'no GTID'}, committed at ${found.committedAt ?? 'an unknown time'}, ${found.binlog}:${found.position}`,
      ...(found.statement === null ? [] : [`  ${found.statement}`]),
      `  ${found.restore} --target-dir FOLDER`,
    ].join('\n'),
  );
  if (extent.kind === 'cut') blocks.push(cutWords(extent));
  return blocks.join('\n');
}

function cutWords({ limit, next }: Extract<Extent, { kind: 'cut' }>): string {
  const where = `${next.gtid ?? 'one without a GTID'}, committed at ${next.committedAt ?? 'an unknown time'}`;
  return `The list ends here, at --limit ${limit}, and is not complete: the next is ${where}. What follows was not searched. Raise --limit, or narrow the search by --since, --until, --table or --op.`;
}

function rowWords(rows: number | null): string {
  return rows === null || rows === 0 ? '' : `, ${formatCount(rows, 'row')}`;
}
