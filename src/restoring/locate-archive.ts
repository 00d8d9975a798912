import { type Located, locate } from '../binlog/locate.ts';
import type { DestructiveOp, HarmedTable } from '../binlog/locate-tally.ts';
import type { ArchivedSegment, CatalogState } from '../catalog/fold.ts';
import { formatGtid } from '../domain/gtid.ts';
import { formatInstant, type Micros, parseInstant } from '../domain/time.ts';
import { readSegment, type SegmentHome } from './segment-stream.ts';

/** What is looked for; all of it must fit. */
export interface LocateRequest {
  /** null: any table. */
  readonly table: { readonly schema: string; readonly name: string } | null;
  /** Empty: any operation. `drop` of a table is also done by dropping its database. */
  readonly ops: readonly DestructiveOp[];
  readonly since: Micros;
  /** null: up to the end of the archive. */
  readonly until: Micros | null;
  /** null: the newest that has segments. */
  readonly timeline: number | null;
}

/** A statement that destroyed data. Plain JSON. */
export interface FoundStatement {
  readonly op: DestructiveOp;
  /** `schema.table`; for a whole database its name. */
  readonly tables: readonly string[];
  /** Rows of the tables asked for; null where only the statement is logged. */
  readonly rows: number | null;
  /** null where the transaction is anonymous. */
  readonly gtid: string | null;
  readonly committedAt: string | null;
  readonly serverUuid: string;
  readonly binlog: string;
  /** Offset at which its transaction begins. */
  readonly position: number;
  /** Its beginning; null where only rows are logged. */
  readonly statement: string | null;
  /** The target that stops just before it. */
  readonly target: string;
}

/** How many segments are read at a time: one is decoded while the others arrive. */
const PARALLEL_SEGMENTS = 3;

/** Segments of the timeline that may hold transactions of the time asked for, in the order of commit. Pure. */
export function segmentsToSearch(state: CatalogState, request: LocateRequest): readonly ArchivedSegment[] {
  const all = state.allSegments();
  const timeline = request.timeline ?? Math.max(0, ...all.map((it) => it.timeline));
  return all.filter(({ timeline: own, segment }) => {
    if (own !== timeline || segment.transactions === 0) return false;
    const { firstCommit, maxCommit } = segment;
    if (maxCommit !== null && parseInstant(maxCommit) < request.since) return false;
    // Where the clock stepped back, the first commit is not the earliest.
    const ordered = segment.clockInversions === 0;
    return !(
      ordered &&
      request.until !== null &&
      firstCommit !== null &&
      parseInstant(firstCommit) > request.until
    );
  });
}

/**
 * Finds what was destroyed, by reading archived binlogs; several at a time, results in the order of commit.
 * A transaction that stands in two logs is told once.
 * @param onSegment called after each segment with the bytes of plaintext that were read
 * @throws what reading a segment throws
 */
export async function* locateInArchive(
  home: SegmentHome,
  segments: readonly ArchivedSegment[],
  request: LocateRequest,
  signal: AbortSignal,
  onSegment: (lengthBytes: number) => void,
): AsyncGenerator<FoundStatement> {
  const waiting: Promise<FoundStatement[]>[] = [];
  const told = new Set<string>();
  let next = 0;
  const refill = () => {
    for (; waiting.length < PARALLEL_SEGMENTS && next < segments.length; next += 1) {
      const segment = segments[next];
      if (segment === undefined) return;
      const search = searchSegment(home, segment, request, signal);
      // Awaited in its turn; until then its failure is nobody's surprise.
      search.catch(() => undefined);
      waiting.push(search);
    }
  };
  refill();
  for (let index = 0; waiting.length > 0; index += 1) {
    const found = await waiting.shift();
    onSegment(segments[index]?.segment.lengthBytes ?? 0);
    refill();
    for (const statement of found ?? []) {
      const key = `${statement.gtid ?? statement.target}/${statement.op}`;
      if (!told.has(key)) yield statement;
      told.add(key);
    }
  }
}

async function searchSegment(
  home: SegmentHome,
  { segment, object }: ArchivedSegment,
  request: LocateRequest,
  signal: AbortSignal,
): Promise<FoundStatement[]> {
  const found: FoundStatement[] = [];
  const { serverUuid, binlog } = segment;
  const chunks = readSegment(home, { ...segment, object }, signal);
  for await (const located of locate(chunks, { binlog })) {
    const tables = harmedTables(located, request);
    if (tables.length > 0 && isInTime(located, request)) found.push(describe(located, tables, serverUuid));
  }
  return found;
}

/** The tables of a harm that were asked for; none where its kind was not. */
function harmedTables({ op, tables }: Located, { ops, table }: LocateRequest): readonly HarmedTable[] {
  const wanted = ops.length === 0 || ops.includes(op) || (op === 'drop-database' && ops.includes('drop'));
  if (!wanted) return [];
  if (table === null) return tables;
  return tables.filter(
    ({ schema, name }) => same(schema, table.schema) && (name === '' || same(name, table.name)),
  );
}

/** In either case: what is found too much is told with its name, what is missed is not told at all. */
function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function isInTime({ committedAtMicros: at }: Located, { since, until }: LocateRequest): boolean {
  return at === null || (at >= since && (until === null || at <= until));
}

function describe(located: Located, tables: readonly HarmedTable[], serverUuid: string): FoundStatement {
  const { op, gtid, committedAtMicros, binlog, position, statement } = located;
  const name = gtid === null ? null : formatGtid(gtid);
  return {
    op,
    tables: located.tables.map((table) =>
      table.name === '' ? table.schema : `${table.schema}.${table.name}`,
    ),
    rows: tables.reduce<number | null>(
      (sum, { rows }) => (sum === null || rows === null ? null : sum + rows),
      0,
    ),
    gtid: name,
    committedAt: committedAtMicros === null ? null : formatInstant(committedAtMicros),
    serverUuid,
    binlog,
    position,
    statement,
    target: name === null ? `file:${serverUuid}/${binlog}:${position}` : `before:${name}`,
  };
}
