import type { GtidSet } from '../domain/gtid-set.ts';
import type { Micros } from '../domain/time.ts';
import type { ScanReport } from './facts.ts';
import { readFileChunks } from './file-chunks.ts';
import type { ChecksumAlgorithm } from './format-description.ts';
import { corruptAt } from './problem.ts';
import { BinlogScanner } from './scanner.ts';

/** What the first two events of a log say. */
export interface BinlogHead {
  readonly serverVersion: string;
  /** Header time of FORMAT_DESCRIPTION. */
  readonly createdAt: Micros;
  readonly serverId: number;
  readonly checksum: ChecksumAlgorithm;
  readonly previousGtids: GtidSet;
  readonly inUse: boolean;
}

/**
 * Reads FORMAT_DESCRIPTION and PREVIOUS_GTIDS, and nothing after them: a log that is being
 * written, or is torn behind them, has a head too. @throws corrupt, refused, unavailable
 */
export async function readHead(from: string | AsyncIterable<Uint8Array>, file?: string): Promise<BinlogHead> {
  const name = file ?? (typeof from === 'string' ? from : 'binlog');
  let head: BinlogHead | null = null;
  const scanner: BinlogScanner = new BinlogScanner({
    file: name,
    visitor: {
      event: () => {
        head ??= headOf(scanner.report([]));
      },
    },
  });
  for await (const chunk of typeof from === 'string' ? readFileChunks(from) : from) {
    feed(scanner, chunk, () => head !== null);
    if (head !== null) return head;
  }
  const [problem] = scanner.end().problems;
  const place = { file: name, offset: problem?.offset ?? 0, type: null };
  throw corruptAt(
    place,
    problem?.code ?? 'previous-gtids-missing',
    problem?.reason ?? 'the file ends before PREVIOUS_GTIDS',
  );
}

/** Pushes a chunk; corruption behind the head is another reader's matter. */
function feed(scanner: BinlogScanner, chunk: Uint8Array, isDone: () => boolean): void {
  try {
    scanner.push(chunk);
  } catch (error) {
    if (!isDone()) throw error;
  }
}

function headOf(report: ScanReport): BinlogHead | null {
  const { serverVersion, createdAt, serverId, checksum, previousGtids, inUse } = report;
  if (
    serverVersion === null ||
    createdAt === null ||
    serverId === null ||
    checksum === null ||
    previousGtids === null
  )
    return null;
  return { serverVersion, createdAt, serverId, checksum, previousGtids, inUse };
}
