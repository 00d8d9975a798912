import { type Located, locate } from '../binlog/locate.ts';
import type { DestructiveOp, HarmedTable } from '../binlog/locate-tally.ts';
import { formatGtid, parseGtid } from '../domain/gtid.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { CatalogSegment, PlanFacts } from '../domain/plan-facts.ts';
import { formatInstant, type Micros, parseInstant } from '../domain/time.ts';
import { ReadAhead } from '../replay/read-ahead.ts';
import { type FalloverReader, readSegmentFrom } from './fallover.ts';

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
/** Statements of one segment that wait for their turn; then reading it waits, too. */
const WAITING_STATEMENTS = 256;

/** Segments of the timeline that may hold transactions of the time asked for, in the order of commit. Pure. */
export function segmentsToSearch(
  { segments: all }: PlanFacts,
  request: LocateRequest,
): readonly CatalogSegment[] {
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
 * Finds what was destroyed, by reading archived binlogs; several at a time, results in the order of commit,
 * as fast as they are asked for: memory is bounded, whatever there is to find. Whoever stops asking ends
 * the reading. A transaction that stands in two logs is told once. Each log comes from whichever store gives it.
 * @param onSegment called after each segment with the bytes of plaintext that were read
 * @throws what reading a segment throws
 */
export async function* locateInArchive(
  reader: FalloverReader,
  segments: readonly CatalogSegment[],
  request: LocateRequest,
  signal: AbortSignal,
  onSegment: (lengthBytes: number) => void,
): AsyncGenerator<FoundStatement> {
  const repeated = repeatedGtids(segments);
  const told = new Set<string>();
  const waiting: { readonly segment: CatalogSegment; readonly found: ReadAhead<FoundStatement> }[] = [];
  const rest = segments.values();
  const refill = () => {
    while (waiting.length < PARALLEL_SEGMENTS) {
      const { value: segment, done } = rest.next();
      if (done === true) return;
      const search = (stop: AbortSignal) =>
        searchSegment(reader, segment, request, AbortSignal.any([signal, stop]));
      const bound = { most: WAITING_STATEMENTS, weigh: () => 1 };
      waiting.push({ segment, found: new ReadAhead(search, bound) });
    }
  };
  try {
    refill();
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const { segment, found } = first;
      for (let statement = await found.next(); statement !== null; statement = await found.next()) {
        const key = `${statement.gtid}/${statement.op}`;
        if (told.has(key)) continue;
        if (statement.gtid !== null && repeated.contains(parseGtid(statement.gtid))) told.add(key);
        yield statement;
      }
      onSegment(segment.segment.lengthBytes);
      waiting.shift();
      refill();
    }
  } finally {
    await Promise.all(waiting.map(({ found }) => found.close()));
  }
}

/** The transactions that stand in more than one of the segments. */
function repeatedGtids(segments: readonly CatalogSegment[]): GtidSet {
  const repeated: GtidSet[] = [];
  let covered = GtidSet.EMPTY;
  for (const { segment } of segments) {
    const gtids = GtidSet.parse(segment.gtids);
    repeated.push(gtids.intersect(covered));
    covered = covered.union(gtids);
  }
  return GtidSet.unionAll(repeated);
}

async function* searchSegment(
  reader: FalloverReader,
  { segment, object, stores }: CatalogSegment,
  request: LocateRequest,
  signal: AbortSignal,
): AsyncGenerator<FoundStatement> {
  const { serverUuid, binlog } = segment;
  const chunks = readSegmentFrom(reader, { ...segment, object, stores }, signal);
  for await (const located of locate(chunks, { binlog })) {
    const tables = harmedTables(located, request);
    if (tables.length > 0 && isInTime(located, request)) yield describe(located, tables, serverUuid);
  }
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
