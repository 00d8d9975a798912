import type { WatchStatus } from '../../../workflows/contracts/watch.ts';
import type { ClusterConfig, PitrailConfig } from '../../config/types.ts';
import { AppError, assertNever } from '../../domain/errors.ts';
import { connectTemporal } from '../temporal-client.ts';
import { askWorkflow } from './ask-workflows.ts';
import type { WatchAnswer } from './facts.ts';
import type { Problem } from './problem.ts';

/** Asks the watch of a cluster what it sees and what it has done. */
export async function askWatch(
  { name, archive }: ClusterConfig,
  { temporal }: Pick<PitrailConfig, 'temporal'>,
): Promise<WatchAnswer> {
  if (archive.fallback === null) return { status: 'not-wanted' };
  try {
    const session = await connectTemporal(temporal);
    try {
      return await askWorkflow<WatchStatus>(session, `watch/${name}`, 'watching');
    } finally {
      await session.close();
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { status: 'unreachable', error };
  }
}

/** What is wrong with the watch, or with what it watches. Pure. */
export function judgeWatch(watch: WatchAnswer): Problem[] {
  switch (watch.status) {
    case 'not-wanted':
    // The workflows of the sources say the same.
    case 'unreachable':
      return [];
    case 'silent':
    case 'not-running': {
      const message = `Fallbacks are named, and nobody watches the archived source: workflow ${watch.workflowId} does not answer.`;
      const hint = watch.status === 'silent' ? 'Start a worker: pitrail worker' : 'Start it: pitrail apply';
      return [{ code: 'NotWatching', kind: 'unavailable', subject: 'watch', message, hint }];
    }
    case 'running':
      return judgeSeen(watch.answer);
    default:
      return assertNever(watch);
  }
}

function judgeSeen({ trouble, known, lastHandoffs, source }: WatchStatus): Problem[] {
  const problem = (code: string, message: string, hint: string): Problem[] => [
    { code, kind: 'unavailable', subject: 'watch', message, hint },
  ];
  if (trouble !== null) return problem('WatchTroubled', `The watch cannot see: ${trouble}`, '');
  if (known.failingSinceMs === null) return [];
  const since = new Date(known.failingSinceMs).toISOString();
  const last = lastHandoffs.at(-1);
  const refused = last?.outcome === 'failed' ? ` Nobody could take over: ${last.detail}` : '';
  const hint = 'Mend the source, or choose who goes on: pitrail handoff --to SOURCE.';
  return problem('SourceFailing', `${source} fails since ${since}.${refused}`, hint);
}

/** The watch as lines for people. */
export function describeWatch(watch: WatchAnswer): string[] {
  if (watch.status !== 'running') return [];
  const { source, phase, lastHandoffs } = watch.answer;
  const last = lastHandoffs.at(-1);
  return [
    `  watch: ${phase}, ${source ?? 'nobody yet'} holds the archive`,
    ...(last === undefined ? [] : [`    last handoff at ${last.at}: ${last.detail}`]),
  ];
}

/** The watch as JSON; null where none is wanted. */
export function watchDocument(watch: WatchAnswer): unknown {
  if (watch.status === 'not-wanted') return null;
  if (watch.status === 'unreachable')
    return { status: watch.status, error: { code: watch.error.code, message: watch.error.message } };
  return watch.status === 'running' ? { status: watch.status, ...watch.answer } : watch;
}
