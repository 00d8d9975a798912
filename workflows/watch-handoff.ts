import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { executeChild, isCancellation, ParentClosePolicy } from '@temporalio/workflow';
import type { HandoffSettings } from '../activities/handoff.ts';
import { afterHandoff } from '../src/domain/routing/watch.ts';
import type { ArchiveStanding } from '../src/handoff/manifests.ts';
import { describeFailure } from './archive-failures.ts';
import type { FallbackHandoffInput, HandoffResult } from './contracts/handoff.ts';
import type { WatchedHandoff } from './contracts/watch.ts';
import { nowText } from './now.ts';
import type { Failing } from './watch-look.ts';
import type { Watch } from './watch-state.ts';

/** What `status` tells of the past. */
const MAX_REMEMBERED = 10;
/** How long the proof of a handoff may keep the watch from watching the next source. */
const VALIDATE_SECONDS = 60;

/**
 * Hands the archive to the first source that can go on: the fallbacks in their order, then those that
 * were archived before. Returns false where none can, or none has to any more.
 */
export async function handOverToFallback(
  watch: Watch,
  { fallbacks, sources }: HandoffSettings,
  { from, epoch }: ArchiveStanding,
  { kind, sinceMs }: Failing,
): Promise<boolean> {
  const archived = sources.filter(({ role }) => role === 'archived').map(({ id }) => id);
  for (const to of [...fallbacks, ...archived]) {
    if (to === from.source) continue;
    const made = await handOver(
      watch,
      {
        cluster: watch.input.cluster,
        to,
        from: from.source,
        policy: null,
        mode: 'hand-over',
        trigger: { kind: 'watch', finding: kind, failingSince: new Date(sinceMs).toISOString() },
        waitSeconds: VALIDATE_SECONDS,
        validateSeconds: VALIDATE_SECONDS,
      },
      epoch + 1,
    );
    watch.status.lastHandoffs = [...watch.status.lastHandoffs, made].slice(-MAX_REMEMBERED);
    if (made.outcome === 'stayed') {
      // It is back, or was not seen well enough: what is known of its lag stays.
      watch.status.known = { ...watch.status.known, failingSinceMs: null };
      return false;
    }
    if (made.outcome !== 'failed') {
      watch.status.known = afterHandoff(watch.status.known, kind, Date.now());
      return true;
    }
  }
  return false;
}

async function handOver(
  { input }: Watch,
  request: FallbackHandoffInput,
  epoch: number,
): Promise<WatchedHandoff> {
  const { to } = request;
  try {
    const {
      outcome,
      detail,
      epoch: raised,
    } = await executeChild<(input: FallbackHandoffInput) => Promise<HandoffResult>>('fallbackHandoff', {
      workflowId: `handoff/${input.cluster}/${epoch}`,
      args: [request],
      // It ends what it has begun, whatever becomes of the watch.
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `Handoff of ${input.cluster} to ${to}, because ${request.from} fails`,
    });
    return { to, outcome, epoch: raised, detail, at: nowText() };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const detail =
      error instanceof WorkflowExecutionAlreadyStartedError
        ? 'Another handoff of this epoch is under way.'
        : describeFailure(error).message;
    return { to, outcome: 'failed', epoch: null, detail, at: nowText() };
  }
}
