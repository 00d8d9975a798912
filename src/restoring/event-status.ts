import type { EventStatus, Statement } from '../binlog/sql.ts';
import type { QualifiedName } from '../binlog/sql-cursor.ts';

/** A status as INFORMATION_SCHEMA.EVENTS prints it. */
export type ServerEventStatus = 'ENABLED' | 'DISABLED' | 'REPLICA_SIDE_DISABLED';

/** An event and its status on the origin. */
export interface EventState {
  readonly schema: string;
  readonly name: string;
  readonly status: ServerEventStatus;
}

/**
 * Follows what the origin did to its events: the replication applier leaves every one that it touches
 * REPLICA_SIDE_DISABLED, so the status must be taken from the statements, and from the base for the
 * events that none of them touched. Fed with the statements in commit order; pure.
 */
export class EventStatusFold {
  readonly #byName = new Map<string, EventState>();

  constructor(base: readonly EventState[]) {
    for (const event of base) this.#byName.set(keyOf(event), event);
  }

  /** Takes a statement of a replayed transaction. */
  add(statement: Statement): void {
    switch (statement.kind) {
      case 'create-event':
        this.#created(statement.event, statement.status);
        return;
      case 'alter-event':
        this.#altered(statement.event, statement.status, statement.renameTo);
        return;
      case 'drop-event':
        this.#byName.delete(keyOf(statement.event));
        return;
      case 'drop-database':
        for (const [key, { schema }] of this.#byName) {
          if (schema.toLowerCase() === statement.schema.toLowerCase()) this.#byName.delete(key);
        }
        return;
      default:
    }
  }

  /** The status on the origin; undefined for an event that no statement and no base names. */
  statusOf(event: QualifiedName): ServerEventStatus | undefined {
    return this.#byName.get(keyOf(event))?.status;
  }

  /** One that exists already was created with IF NOT EXISTS, which changes nothing. */
  #created(event: QualifiedName, status: EventStatus): void {
    const key = keyOf(event);
    if (!this.#byName.has(key))
      this.#byName.set(key, { ...event, status: serverStatus(status) ?? 'ENABLED' });
  }

  #altered(event: QualifiedName, status: EventStatus, renameTo: QualifiedName | null): void {
    const before = this.#byName.get(keyOf(event));
    if (before === undefined) return;
    const after = { ...(renameTo ?? event), status: serverStatus(status) ?? before.status };
    this.#byName.delete(keyOf(event));
    this.#byName.set(keyOf(after), after);
  }
}

/** Undefined where the statement says nothing of it. */
function serverStatus(status: EventStatus): ServerEventStatus | undefined {
  switch (status) {
    case 'enabled':
      return 'ENABLED';
    case 'disabled':
      return 'DISABLED';
    case 'replica-side-disabled':
      return 'REPLICA_SIDE_DISABLED';
    case 'unspecified':
      return undefined;
  }
}

/** Names of events do not differ by case, whatever lower_case_table_names says of schemas. */
function keyOf({ schema, name }: QualifiedName): string {
  return `${schema.toLowerCase()}\0${name.toLowerCase()}`;
}
