/**
 * Codes of binlog events.
 * Source: MySQL libs/mysql/binlog/event/binlog_event.h, `enum Log_event_type`.
 */
export const EVENT = {
  UNKNOWN: 0,
  START_V3: 1,
  QUERY: 2,
  STOP: 3,
  ROTATE: 4,
  INTVAR: 5,
  SLAVE: 7,
  APPEND_BLOCK: 9,
  DELETE_FILE: 11,
  RAND: 13,
  USER_VAR: 14,
  FORMAT_DESCRIPTION: 15,
  XID: 16,
  BEGIN_LOAD_QUERY: 17,
  EXECUTE_LOAD_QUERY: 18,
  TABLE_MAP: 19,
  WRITE_ROWS_V1: 23,
  UPDATE_ROWS_V1: 24,
  DELETE_ROWS_V1: 25,
  INCIDENT: 26,
  HEARTBEAT: 27,
  IGNORABLE: 28,
  ROWS_QUERY: 29,
  WRITE_ROWS: 30,
  UPDATE_ROWS: 31,
  DELETE_ROWS: 32,
  GTID: 33,
  ANONYMOUS_GTID: 34,
  PREVIOUS_GTIDS: 35,
  TRANSACTION_CONTEXT: 36,
  VIEW_CHANGE: 37,
  XA_PREPARE: 38,
  PARTIAL_UPDATE_ROWS: 39,
  TRANSACTION_PAYLOAD: 40,
  HEARTBEAT_V2: 41,
  GTID_TAGGED: 42,
} as const;

const NAMES = new Map<number, string>(Object.entries(EVENT).map(([name, code]) => [code, name]));

/** Name of an event type, as in MySQL's sources without `_EVENT`; `UNKNOWN(200)` for a code without one. */
export function eventName(type: number): string {
  const name = type === EVENT.UNKNOWN ? undefined : NAMES.get(type);
  return name ?? `UNKNOWN(${type})`;
}

/** True where MySQL 9.7 knows the type. */
export function isKnownEvent(type: number): boolean {
  return type !== EVENT.UNKNOWN && NAMES.has(type);
}

/** True for WRITE, UPDATE and DELETE_ROWS in version 2, and PARTIAL_UPDATE_ROWS. */
export function isRowsEvent(type: number): boolean {
  return (type >= EVENT.WRITE_ROWS && type <= EVENT.DELETE_ROWS) || type === EVENT.PARTIAL_UPDATE_ROWS;
}

/** True for the events that open a transaction. */
export function isGtidEvent(type: number): boolean {
  return type === EVENT.GTID || type === EVENT.ANONYMOUS_GTID || type === EVENT.GTID_TAGGED;
}
