import { GtidSet } from '../domain/gtid-set.ts';
import type { FileStart } from './protocol/artificial-events.ts';
import type { OpenSegment } from './read-ahead.ts';

/** One archived binlog as the archive source serves it. */
export interface SourceSegment {
  readonly serverUuid: string;
  readonly binlog: string;
  /** Length of the plaintext. */
  readonly lengthBytes: number;
  /** The transactions of this file that the plan has; all others are never sent. */
  readonly send: GtidSet;
  /** Reads the plaintext from its first byte; called again for every connection that needs the file. */
  readonly open: OpenSegment;
}

/** One file to be sent to one replica. */
export interface DumpStep {
  readonly segment: SourceSegment;
  /** Never empty. */
  readonly wanted: GtidSet;
  readonly start: FileStart;
}

/**
 * Decides what a replica that has `has` still needs, in order. A GTID that stands in several segments is
 * sent from the first; a segment with nothing left is left out and never opened.
 */
export function planDump(segments: readonly SourceSegment[], has: GtidSet): DumpStep[] {
  const steps: DumpStep[] = [];
  let covered = has;
  for (const segment of segments) {
    const wanted = segment.send.subtract(covered);
    if (!wanted.isEmpty) {
      const start = wanted.equals(segment.send) ? 'from-the-start' : 'resumed';
      steps.push({ segment, wanted, start });
    }
    covered = GtidSet.unionAll([covered, segment.send]);
  }
  return steps;
}
