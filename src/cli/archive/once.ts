import type { ArchiveNowResult, ArchiveStatus, DeadLetter } from '../../../workflows/contracts/archive.ts';
import type { PitrailConfig } from '../../config/types.ts';
import { AppError, EXIT_CODES } from '../../domain/errors.ts';
import type { CliContext } from '../command.ts';
import { routesOf } from '../status/routes.ts';
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
    const results: OnceResult[] = [];
    for (const entity of sources) results.push(await archiveOrStandBy(context, session, entity, sources));
    context.output.result({ sources: results }, () => results.map(describeResult).join('\n'));
    return exitCodeOf(results);
  } finally {
    await session.close();
  }
}

/** A source among several that stands by has nothing to do here; asked for alone it is refused. */
async function archiveOrStandBy(
  context: CliContext,
  session: TemporalSession,
  entity: SourceEntity,
  all: readonly SourceEntity[],
): Promise<OnceResult> {
  try {
    const result = await archiveOne(context, session, entity);
    return { ...result, lacking: storesLacking(await entityStatus(session, entity)) };
  } catch (error) {
    const standsBy = error instanceof AppError && (error.code === 'InReserve' || error.code === 'HandedAway');
    if (!standsBy || all.length === 1) throw error;
    const { cluster, source } = entity;
    return { cluster, source, state: 'stands-by', why: error.message };
  }
}

/** What became of one source. */
export type OnceResult =
  | (ArchiveNowResult & { readonly lacking: readonly LackingStore[] })
  | {
      readonly cluster: string;
      readonly source: string;
      readonly state: 'stands-by';
      readonly why: string;
    };

/** A required store that lacks logs although they count as archived, because another one stands in for it. */
export interface LackingStore {
  readonly store: string;
  readonly logs: number;
}

/** Nobody waits for a store that catches up, and for one that counts the workflow has waited. Pure. */
export function storesLacking(status: Pick<ArchiveStatus, 'stores' | 'standIns'>): LackingStore[] {
  return routesOf({ ...status, noStandIns: [] })
    .filter(({ counts, backlog }) => counts === 'stood-in-for' && backlog.logs > 0)
    .map(({ store, backlog }) => ({ store, logs: backlog.logs }));
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

/** 0 only where every closed log is in every required store; where all sources stand by nothing is archived. Pure. */
export function exitCodeOf(results: readonly OnceResult[]): number {
  if (results.every(({ state }) => state === 'stands-by')) return EXIT_CODES.refused;
  return Math.max(0, ...results.map(exitCodeOfOne));
}

function exitCodeOfOne(result: OnceResult): number {
  if (result.state === 'stands-by') return 0;
  const { deadLetters, backlog, lacking } = result;
  const codes = deadLetters.map(({ kind }) => EXIT_CODES[kind]);
  if (codes.length > 0) return Math.max(...codes);
  return backlog.logs > 0 || lacking.length > 0 ? EXIT_CODES.unavailable : 0;
}

function describeResult(result: OnceResult): string {
  if (result.state === 'stands-by') return `${result.cluster}/${result.source}: nothing to do: ${result.why}`;
  const { cluster, source, archived, archivedThrough, deadLetters, backlog, lacking } = result;
  const through =
    archivedThrough === null
      ? 'nothing yet'
      : `${archivedThrough.binlog} (timeline ${archivedThrough.timeline})`;
  return [
    `${cluster}/${source}: ${formatCount(archived.length, 'binlog')} archived now, through ${through}`,
    ...(backlog.logs > 0
      ? [`  ${formatCount(backlog.logs, 'closed binlog')} (${formatBytes(backlog.bytes)}) not archived`]
      : []),
    ...lacking.map(
      ({ store, logs }) => `  ${store} lacks ${formatCount(logs, 'binlog')}: see pitrail status`,
    ),
    ...deadLetters.map(describeLetter),
  ].join('\n');
}

/** A dead letter for people. */
export function describeLetter({ binlog, code, message, hint }: DeadLetter): string {
  return `  dead letter ${binlog} (${code}): ${message}\n    hint: ${hint}`;
}
