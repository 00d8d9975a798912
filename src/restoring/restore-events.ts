import { BinlogScanner } from '../binlog/scanner.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { PlannedSegment } from '../domain/restore-plan.ts';
import { quoteName } from '../mysql/facts.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { type EventState, EventStatusFold, type ServerEventStatus } from './event-status.ts';
import { readSegmentFrom } from './fallover.ts';
import type { RestoreHomes } from './homes.ts';

interface EventRow extends EventState {
  readonly definer: string;
  readonly sqlMode: string;
  readonly clientCharset: string;
  readonly connectionCollation: string;
  readonly lastAltered: string;
}

const EVENTS_SQL = `SELECT EVENT_SCHEMA AS \`schema\`, EVENT_NAME AS name, STATUS AS status, DEFINER AS definer,
    SQL_MODE AS sqlMode, CHARACTER_SET_CLIENT AS clientCharset, COLLATION_CONNECTION AS connectionCollation,
    UNIX_TIMESTAMP(LAST_ALTERED) AS lastAltered
  FROM information_schema.EVENTS ORDER BY EVENT_SCHEMA, EVENT_NAME`;

/** The events of a server with their status. */
export async function readEvents(session: MysqlSession): Promise<EventState[]> {
  const rows = await session.query<EventRow>(EVENTS_SQL);
  return rows.map(({ schema, name, status }) => ({ schema, name, status }));
}

/** The event statuses of the origin at the target: the base's, and what the replayed statements made of them. */
export async function foldEventStatuses(
  homes: RestoreHomes,
  base: readonly EventState[],
  segments: readonly PlannedSegment[],
  signal: AbortSignal,
): Promise<EventStatusFold> {
  const fold = new EventStatusFold(base);
  for (const segment of segments) {
    if (segment.eventDdl > 0) await foldSegment(homes, segment, fold, signal);
  }
  return fold;
}

async function foldSegment(
  homes: RestoreHomes,
  segment: PlannedSegment,
  fold: EventStatusFold,
  signal: AbortSignal,
): Promise<void> {
  const send = GtidSet.parse(segment.send);
  const scanner = new BinlogScanner({
    file: segment.binlog,
    visitor: {
      query({ transaction, statement }) {
        const { gtid } = transaction.gtidEvent;
        if (gtid !== null && send.contains(gtid)) fold.add(statement);
      },
    },
  });
  for await (const chunk of readSegmentFrom(homes.reader, segment, signal)) scanner.push(chunk);
}

/**
 * Gives every event the status that it had on the origin; definer, SQL mode, character sets and the
 * time of the last change stay as they are; ORIGINATOR becomes this server's id. The scheduler is off, so none of them starts. May be run again.
 * @returns how many events had to be changed
 * @throws corrupt `EventStatusUnknown`, `EventChanged`
 */
export async function putEventStatusesBack(session: MysqlSession, fold: EventStatusFold): Promise<number> {
  let changed = 0;
  for (const event of await session.query<EventRow>(EVENTS_SQL)) {
    const wanted = fold.statusOf(event);
    if (wanted === undefined) throw unknownStatus(event);
    if (wanted === event.status) continue;
    await alterStatus(session, event, wanted);
    changed += 1;
  }
  return changed;
}

const STATUS_WORDS: Readonly<Record<ServerEventStatus, string>> = {
  ENABLED: 'ENABLE',
  DISABLED: 'DISABLE',
  REPLICA_SIDE_DISABLED: 'DISABLE ON REPLICA',
};

/**
 * ALTER EVENT takes definer, character sets and time from the session, so the session takes the event's.
 * The text is prepared from a variable, which the server converts: a name in other letters than the
 * event's character set has on the wire still arrives.
 */
async function alterStatus(session: MysqlSession, event: EventRow, wanted: ServerEventStatus): Promise<void> {
  const name = `${quoteName(event.schema)}.${quoteName(event.name)}`;
  const text = `ALTER DEFINER = ${quoteDefiner(event.definer)} EVENT ${name} ${STATUS_WORDS[wanted]}`;
  await session.run('SET @pitrail_alter = ?', [text]);
  await session.run(
    `SET character_set_client = ?, collation_connection = ?, timestamp = ${Number(event.lastAltered)}`,
    [event.clientCharset, event.connectionCollation],
  );
  try {
    await session.run('PREPARE pitrail_alter FROM @pitrail_alter');
    await session.run('EXECUTE pitrail_alter');
    await session.run('DEALLOCATE PREPARE pitrail_alter');
  } finally {
    await session.run('SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci');
    await session.run('SET timestamp = DEFAULT, @pitrail_alter = NULL');
  }
  const after = (await session.query<EventRow>(EVENTS_SQL)).find(
    ({ schema, name: found }) => schema === event.schema && found === event.name,
  );
  const expected: EventRow = { ...event, status: wanted };
  if (JSON.stringify(after) !== JSON.stringify(expected)) throw eventChanged(event, wanted);
}

/** `user@host` as the server prints it; the host never holds an at sign. */
function quoteDefiner(definer: string): string {
  const at = definer.lastIndexOf('@');
  return `${quoteName(definer.slice(0, at))}@${quoteName(definer.slice(at + 1))}`;
}

function unknownStatus({ schema, name }: EventState): AppError {
  return new AppError({
    code: 'EventStatusUnknown',
    kind: 'corrupt',
    message: `The event ${schema}.${name} is in the restored server, and neither the base nor a replayed statement tells its status on the origin: the restore is not handed over.`,
    hint: 'Please report it with the statements that made this event.',
    facts: { schema, name },
  });
}

function eventChanged({ schema, name }: EventState, wanted: ServerEventStatus): AppError {
  return new AppError({
    code: 'EventChanged',
    kind: 'corrupt',
    message: `Setting the event ${schema}.${name} to ${wanted} changed more than its status: the restore is not handed over.`,
    hint: 'Please report it with the statement that made this event.',
    facts: { schema, name, wanted },
  });
}
