import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import type { ScanReport } from '../../binlog/facts.ts';
import { readFileChunks } from '../../binlog/file-chunks.ts';
import { scanStream } from '../../binlog/scan.ts';
import { AppError, EXIT_CODES } from '../../domain/errors.ts';
import { formatInstant, type Micros } from '../../domain/time.ts';
import { type CliContext, defineCommand } from '../command.ts';
import { formatBytes, formatCount, formatTable, shortGtids } from '../words.ts';

/** A file that could not be scanned at all, such as one that is not there. */
interface Unscanned {
  readonly file: string;
  readonly error: AppError;
}

export const command = defineCommand({
  description:
    'Reads binlog files from beginning to end and verifies every event: its CRC, its place, its transaction, its GTID. ' +
    'Changes nothing and needs no configuration. Exit code 4 where anything is wrong with a file.',
  arguments: [{ name: '<files...>', description: 'binlog files, plain (not encrypted by the server)' }],
  options: [],
  examples: [
    { line: 'pitrail scan /var/lib/mysql/binlog.000042', says: 'one file, for people' },
    { line: 'pitrail scan binlog.0* --json | jq .gtids', says: 'a line of JSON for each file' },
  ],
  schema: z.strictObject({}),
  async run(context, { args }) {
    const reports: ScanReport[] = [];
    const unscanned: Unscanned[] = [];
    for (const file of args) {
      context.signal.throwIfAborted();
      const outcome = await scanOne(context, file);
      if ('error' in outcome) unscanned.push(outcome);
      else reports.push(outcome);
      await tell(context, outcome);
    }
    if (context.output.mode === 'people' && reports.length > 0)
      context.output.result(null, () => tableOf(reports));
    return exitCodeOf(reports, unscanned);
  },
});

async function scanOne(context: CliContext, file: string): Promise<ScanReport | Unscanned> {
  try {
    return await scanStream(watched(context, file), { file });
  } catch (error) {
    if (error instanceof AppError) return { file, error };
    throw error;
  }
}

/** The bytes of a file, with progress, until someone asks to stop. */
async function* watched({ signal, progress }: CliContext, file: string): AsyncGenerator<Uint8Array> {
  // What cannot be read is told by the reader itself.
  const size = await stat(file).then(
    (stats) => stats.size,
    () => null,
  );
  const shown = progress(basename(file), size);
  let doneBytes = 0;
  try {
    for await (const chunk of readFileChunks(file)) {
      signal.throwIfAborted();
      yield chunk;
      doneBytes += chunk.length;
      shown.update(doneBytes);
    }
  } finally {
    shown.stop();
  }
}

/** The line of JSON, and for people the words; the table comes at the end. */
async function tell({ output }: CliContext, outcome: ScanReport | Unscanned): Promise<void> {
  if ('error' in outcome) {
    const { code, kind, message, hint } = outcome.error;
    output.say(`pitrail: ${message}`);
    if (hint !== undefined) output.say(`  hint: ${hint}`);
    await output.item({ file: outcome.file, error: { code, kind, message, hint: hint ?? null } }, () => null);
    return;
  }
  for (const { offset, eventType, reason } of outcome.problems) {
    output.say(
      `${outcome.file}: at offset ${offset}${eventType === null ? '' : ` (${eventType})`}: ${reason}`,
    );
  }
  await output.item(documentOf(outcome), () => null);
}

function documentOf(report: ScanReport): unknown {
  return {
    file: report.file,
    serverVersion: report.serverVersion,
    previousGtids: report.previousGtids?.toString() ?? null,
    gtids: report.gtids.toString(),
    transactions: report.transactions,
    anonymousTransactions: report.anonymousTransactions,
    events: report.events,
    lengthBytes: report.lengthBytes,
    firstCommit: instant(report.firstCommit),
    lastCommit: instant(report.lastCommit),
    checksum: report.checksum,
    closed: report.closed,
    inUse: report.inUse,
    sha256: report.sha256,
    problems: report.problems,
  };
}

function tableOf(reports: readonly ScanReport[]): string {
  const header = ['file', 'state', 'size', 'events', 'transactions', 'first commit', 'last commit', 'GTIDs'];
  const rows = reports.map((report) => [
    basename(report.file),
    stateOf(report),
    formatBytes(report.lengthBytes),
    String(report.events),
    `${report.transactions}${report.anonymousTransactions > 0 ? ` (${report.anonymousTransactions} anonymous)` : ''}`,
    instant(report.firstCommit) ?? '-',
    instant(report.lastCommit) ?? '-',
    shortGtids(report.gtids.toString(), 60),
  ]);
  return formatTable(header, rows);
}

function stateOf(report: ScanReport): string {
  if (report.problems.length > 0) return formatCount(report.problems.length, 'problem');
  return report.closed ? 'closed' : report.inUse ? 'in use' : 'not closed';
}

function instant(at: Micros | null): string | null {
  return at === null ? null : formatInstant(at);
}

function exitCodeOf(reports: readonly ScanReport[], unscanned: readonly Unscanned[]): number {
  if (reports.some(({ problems }) => problems.length > 0)) return EXIT_CODES.corrupt;
  return Math.max(0, ...unscanned.map(({ error }) => EXIT_CODES[error.kind]));
}
