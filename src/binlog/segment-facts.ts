import { AppError } from '../domain/errors.ts';
import type { BinlogName, ServerUuid } from '../domain/identity.ts';
import type { ClosedBy, SegmentFacts } from '../domain/segment.ts';
import { formatInstant, type Micros } from '../domain/time.ts';
import type { ScanReport } from './facts.ts';
import { requireSound } from './scan.ts';

function instant(at: Micros | null): string | null {
  return at === null ? null : formatInstant(at);
}

/**
 * Turns the report on a sound, closed log into what the catalog keeps. The caller says how the
 * end was proven: `recovery` needs the successor's PREVIOUS_GTIDS, which one file cannot show.
 * @throws corrupt where the log has a problem; bug where the report lacks what a sound log has
 */
export function toSegmentFacts(
  report: ScanReport,
  identity: { readonly serverUuid: ServerUuid; readonly binlog: BinlogName; readonly closedBy: ClosedBy },
): SegmentFacts {
  requireSound(report);
  const { serverVersion, createdAt, previousGtids, sha256 } = report;
  const proven =
    identity.closedBy === 'recovery' ? report.closedBy === null : report.closedBy === identity.closedBy;
  if (serverVersion === null || createdAt === null || previousGtids === null || sha256 === null || !proven) {
    throw new AppError({
      code: 'SegmentFactsIncomplete',
      kind: 'bug',
      message: `${report.file} ends by ${report.closedBy ?? 'no event'} and was to be recorded as closed by ${identity.closedBy}, or its scan lacks a digest.`,
      facts: { file: report.file, closedBy: report.closedBy, sha256 },
    });
  }
  return {
    ...identity,
    serverVersion,
    createdAt: formatInstant(createdAt),
    previousGtids: previousGtids.toString(),
    gtids: report.gtids.toString(),
    transactions: report.transactions,
    anonymousTransactions: report.anonymousTransactions,
    firstCommit: instant(report.firstCommit),
    lastCommit: instant(report.lastCommit),
    maxCommit: instant(report.maxCommit),
    clockInversions: report.clockInversions,
    lengthBytes: report.lengthBytes,
    sha256,
    eventDdl: report.eventDdl,
    xaPrepares: report.xaPrepares,
    temporaryTables: report.temporaryTables,
  };
}
