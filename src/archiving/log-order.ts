import type { CatalogState } from '../catalog/fold.ts';
import { type LineState, placeLog } from '../domain/archive-line.ts';
import { binlogIndex, isBinlogName, parseBinlogName, type ServerUuid } from '../domain/identity.ts';
import { newestLine } from './line.ts';
import type { SourceLog } from './source-logs.ts';
import { type LogRef, stagedStem } from './staging.ts';

/** The logs of one server, wherever they lie, and the catalogs that they go to. */
export interface ServerLogs {
  readonly serverUuid: ServerUuid;
  /** As the server lists them, the last one open; none where it is gone. */
  readonly listed: readonly SourceLog[];
  /** As they lie in the staging folder, oldest first by their own clock. */
  readonly staged: readonly SourceLog[];
  readonly stores: readonly { readonly id: string; readonly state: CatalogState }[];
}

/**
 * Closed logs in the order of their history: what lies staged and is purged is older than all that
 * the server lists. Pure.
 */
export function closedInOrder(logs: ServerLogs): readonly SourceLog[] {
  const listed = logs.listed.slice(0, -1);
  const listedStems = new Set(listed.map((log) => stemOf(logs.serverUuid, log)));
  const purged = logs.staged.filter((log) => !listedStems.has(stemOf(logs.serverUuid, log)));
  return [...inHistory(logs, purged), ...listed];
}

/**
 * Staged logs come by the time at which they were begun; a clock that was set back makes a later log
 * look older. The numbers in their names tell the order then, but only where no reset made the
 * server count anew: where each of them can stand on the line that is archived.
 */
function inHistory(logs: ServerLogs, purged: readonly SourceLog[]): readonly SourceLog[] {
  if (isAscending(purged)) return purged;
  const lines = logs.stores.map(({ state }) => newestLine(state, logs.serverUuid));
  const toCome = purged.filter((log) => !isArchived(logs, log));
  const archived = purged.filter((log) => !toCome.includes(log));
  if (!toCome.every((log) => isOnLines(lines, log))) return purged;
  return [...archived, ...toCome.toSorted((a, b) => numberOf(a) - numberOf(b))];
}

function isAscending(purged: readonly SourceLog[]): boolean {
  return purged.every((log, index) => index === 0 || numberOf(log) > numberOf(purged[index - 1]));
}

function numberOf(log: SourceLog | undefined): number {
  return log !== undefined && isBinlogName(log.name) ? binlogIndex(log.name) : 0;
}

function isArchived({ serverUuid, stores }: ServerLogs, { name, sizeBytes, peek }: SourceLog): boolean {
  return stores.every(({ state }) =>
    state
      .segmentsOf(serverUuid)
      .some(
        ({ segment }) =>
          segment.binlog === name &&
          segment.lengthBytes === sizeBytes &&
          segment.createdAt === peek?.createdAt &&
          segment.firstCommit === peek?.firstCommit,
      ),
  );
}

/** True where a log goes on with what is archived, or would but for a gap. */
function isOnLines(lines: readonly (LineState | null)[], { name, peek }: SourceLog): boolean {
  if (peek === null || !isBinlogName(name)) return false;
  const head = { binlog: name, ...peek };
  return lines.every((line) => {
    const { kind } = placeLog(line, head);
    return kind === 'continues' || kind === 'gap';
  });
}

/** The identity of a log; null where its beginning is not known. */
export function refOf(serverUuid: ServerUuid, source: SourceLog): LogRef | null {
  if (source.peek === null || !isBinlogName(source.name)) return null;
  const { createdAt, firstCommit } = source.peek;
  return {
    serverUuid,
    binlog: parseBinlogName(source.name),
    createdAt,
    firstCommit,
    lengthBytes: source.sizeBytes,
  };
}

/** What tells a log from every other of its name; its name alone where its beginning is not known. */
export function stemOf(serverUuid: ServerUuid, source: SourceLog): string {
  const ref = refOf(serverUuid, source);
  return ref === null ? source.name : stagedStem(ref);
}
