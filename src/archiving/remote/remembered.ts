import type { CatalogState } from '../../catalog/fold.ts';
import type { ServerUuid } from '../../domain/identity.ts';
import type { LogPeek } from '../peek.ts';

/** A log whose beginning was read before. */
export interface RememberedLog {
  /** Of its plaintext; of an open log, as it was then. */
  readonly sizeBytes: number;
  readonly peek: LogPeek;
  readonly was: 'closed' | 'open';
}

/**
 * Logs that stood on a server together, by name. A server uses a name once between two resets, and a reset removes
 * every log: where one of them still stands there, those of the line that are older and listed are the same, too.
 */
export type RememberedLine = ReadonlyMap<string, RememberedLog>;

/** A log that was read just now. */
export interface ReadLog {
  readonly name: string;
  readonly sizeBytes: number;
  readonly peek: LogPeek;
}

/** Whether a log that was read now is the one that a line remembers under its name. Pure. */
export function compareWithLine(line: RememberedLine, log: ReadLog): 'same' | 'other' | 'unknown' {
  const known = line.get(log.name);
  if (known === undefined) return 'unknown';
  const { createdAt, previousGtids, firstCommit } = known.peek;
  const begins = createdAt === log.peek.createdAt && previousGtids === log.peek.previousGtids;
  const grew = known.was === 'open' && firstCommit === null;
  const first = grew || firstCommit === log.peek.firstCommit;
  const length = known.was === 'open' ? known.sizeBytes <= log.sizeBytes : known.sizeBytes === log.sizeBytes;
  return begins && first && length ? 'same' : 'other';
}

/** The beginning of a listed log, from lines that are proven; null where none has this log as a closed one. Pure. */
export function recall(
  proven: readonly RememberedLine[],
  { name, sizeBytes }: Omit<ReadLog, 'peek'>,
): LogPeek | null {
  for (const line of proven) {
    const known = line.get(name);
    if (known?.was === 'closed' && known.sizeBytes === sizeBytes) return known.peek;
  }
  return null;
}

/** The lines that a catalog has of a server: one a timeline. A name that stands twice on one proves nothing. Pure. */
export function archivedLines(state: CatalogState, serverUuid: ServerUuid): readonly RememberedLine[] {
  const lines = new Map<number, Map<string, RememberedLog | null>>();
  for (const { timeline, segment } of state.segmentsOf(serverUuid)) {
    const line = lines.get(timeline) ?? new Map<string, RememberedLog | null>();
    const { binlog, lengthBytes, createdAt, previousGtids, firstCommit } = segment;
    const peek = { createdAt, previousGtids, firstCommit };
    line.set(binlog, line.has(binlog) ? null : { sizeBytes: lengthBytes, peek, was: 'closed' });
    lines.set(timeline, line);
  }
  return [...lines.values()].map(
    (line) => new Map([...line].flatMap(([name, log]) => (log === null ? [] : [[name, log] as const]))),
  );
}
