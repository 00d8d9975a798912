import type { ArchiveNowResult, DeadLetter } from '../../../workflows/contracts/archive.ts';
import type { PitrailConfig } from '../../config/types.ts';
import { EXIT_CODES } from '../../domain/errors.ts';
import type { CliContext } from '../command.ts';
import { connectTemporal, type TemporalSession } from '../temporal-client.ts';
import { formatBytes, formatCount } from '../words.ts';
import { archiveNow, assertWorker, entityStatus, type SourceEntity } from './entity.ts';

const PROGRESS_MS = 1_000;

/** Archives all that is closed of each source, and tells what became of it. */
export async function archiveOnce(
  context: CliContext,
  config: PitrailConfig,
  sources: readonly SourceEntity[],
): Promise<number> {
  const session = await connectTemporal(config.temporal);
  try {
    await assertWorker(session, config.region);
    const results: ArchiveNowResult[] = [];
    for (const entity of sources) results.push(await archiveOne(context, session, entity));
    context.output.result({ sources: results }, () => results.map(describeResult).join('\n'));
    return Math.max(0, ...results.map(exitCodeOf));
  } finally {
    await session.close();
  }
}

async function archiveOne(
  context: CliContext,
  session: TemporalSession,
  entity: SourceEntity,
): Promise<ArchiveNowResult> {
  const done = new AbortController();
  const watching = watch(context, session, entity, done.signal);
  try {
    return await interruptible(context.signal, archiveNow(session, entity));
  } finally {
    done.abort();
    await watching;
  }
}

/** The workflow goes on by itself; only the waiting for it ends. */
function interruptible<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  return Promise.race([
    work,
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
  ]);
}

/** Shows how the backlog shrinks. What it cannot learn in time it shows later. */
async function watch(
  { progress }: CliContext,
  session: TemporalSession,
  entity: SourceEntity,
  done: AbortSignal,
): Promise<void> {
  let shown: { readonly total: number; readonly bar: ReturnType<typeof progress> } | null = null;
  while (!(await doneWithin(done, PROGRESS_MS))) {
    const bytes = await backlogBytes(session, entity);
    if (bytes === null || (shown === null && bytes === 0)) continue;
    shown ??= { total: bytes, bar: progress(`archiving ${entity.source}`, bytes) };
    shown.bar.update(Math.max(0, shown.total - bytes));
  }
  shown?.bar.stop();
}

async function backlogBytes(session: TemporalSession, entity: SourceEntity): Promise<number | null> {
  try {
    return (await entityStatus(session, entity)).backlog.bytes;
  } catch {
    // Only the picture is missing; what matters is what the update answers.
    return null;
  }
}

function doneWithin(done: AbortSignal, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    if (done.aborted) return resolve(true);
    const timer = setTimeout(() => resolve(done.aborted), ms);
    done.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve(true);
      },
      { once: true },
    );
  });
}

/** 0 only where every closed log is in every store. */
function exitCodeOf({ deadLetters, backlog }: ArchiveNowResult): number {
  const codes = deadLetters.map(({ kind }) => EXIT_CODES[kind]);
  if (codes.length > 0) return Math.max(...codes);
  return backlog.logs > 0 ? EXIT_CODES.unavailable : 0;
}

function describeResult(result: ArchiveNowResult): string {
  const { cluster, source, archived, archivedThrough, deadLetters, backlog } = result;
  const through =
    archivedThrough === null
      ? 'nothing yet'
      : `${archivedThrough.binlog} (timeline ${archivedThrough.timeline})`;
  return [
    `${cluster}/${source}: ${formatCount(archived.length, 'binlog')} archived now, through ${through}`,
    ...(backlog.logs > 0
      ? [`  ${formatCount(backlog.logs, 'closed binlog')} (${formatBytes(backlog.bytes)}) not archived`]
      : []),
    ...deadLetters.map(describeLetter),
  ].join('\n');
}

/** A dead letter for people. */
export function describeLetter({ binlog, code, message, hint }: DeadLetter): string {
  return `  dead letter ${binlog} (${code}): ${message}\n    hint: ${hint}`;
}
