import { isCancellation, setHandler } from '@temporalio/workflow';
import { toFailure } from '../activities/failures.ts';
import { describeFailure } from './archive-failures.ts';
import { FALLBACK_HANDOFF, type FallbackHandoffInput, type HandoffResult } from './contracts/handoff.ts';
import { decode } from './decode.ts';
import { handoffControl, handoffStores } from './handoff-activities.ts';
import { decide } from './handoff-decide.ts';
import { noteOf, noteOfFailure } from './handoff-note.ts';
import { draftOf, finished, refusalOf, settledResult, standingNow } from './handoff-result.ts';
import { type Decided, enter, type HandOff, type HandoffRun } from './handoff-run.ts';
import { isOutdated, type Locked, lock, type NewBase, switchOver, takeNewBase } from './handoff-switch.ts';
import { validate } from './handoff-validate.ts';
import { handoffProgress } from './messages.ts';
import { nowText } from './now.ts';

/**
 * Hands the archive of a cluster to another source. Id `handoff/{cluster}/{epoch}`.
 *
 * Detect what is wrong, take the snapshots before the flight, decide; lock by the boundary in the
 * catalogs, which fences the old writer; switch archiving over; validate continuity and lag, and
 * write the result down. Run again it finds its boundary, and changes nothing.
 */
export async function fallbackHandoff(input: FallbackHandoffInput): Promise<HandoffResult> {
  const request = decode(FALLBACK_HANDOFF, input);
  const report: HandoffRun['report'] = {
    request,
    step: 'detect',
    from: null,
    epoch: null,
    waitsFor: null,
    startedAt: nowText(),
  };
  setHandler(handoffProgress, () => report);
  try {
    const { cluster, to: source } = request;
    const settings = await handoffControl().handoffSettings({ cluster, source });
    const result = await handOver({ request, settings, report });
    if (result.outcome === 'handed-over') await handoffStores().noteHandoff(noteOf(report, result));
    return result;
  } catch (error) {
    if (isCancellation(error)) throw error;
    // Temporal wraps an activity's failure; what it says is said at the top.
    const described = describeFailure(error);
    await handoffStores().noteHandoff(noteOfFailure(report, described));
    throw toFailure(described);
  }
}

async function handOver(run: HandoffRun): Promise<HandoffResult> {
  for (;;) {
    const decided = await decide(run);
    const { decision } = decided.plan;
    const isDry = run.request.mode === 'dry-run';
    if (isDry || decision.kind === 'stay') return settledResult(run, decided);
    if (decision.kind === 'wait' || decision.kind === 'refuse') throw refusalOf(run, decided);
    if (decision.kind === 'already-done') {
      return await behindBoundary(run, decided, standingNow(decided, decision.epoch));
    }
    const locked = await tryToLock(run, decided, decision);
    if (locked !== 'outdated') return await behindBoundary(run, decided, locked);
  }
}

async function tryToLock(run: HandoffRun, decided: Decided, decision: HandOff): Promise<Locked | 'outdated'> {
  enter(run, 'lock');
  run.report.epoch = decision.boundary.epoch;
  try {
    return await lock(run, decided, decision);
  } catch (error) {
    if (isOutdated(error)) return 'outdated';
    throw error;
  }
}

/** The old writer is fenced: from here on everything is done again until it is done. */
async function behindBoundary(run: HandoffRun, decided: Decided, locked: Locked): Promise<HandoffResult> {
  const draft = draftOf(run, decided, locked, nowText());
  enter(run, 'switch');
  await switchOver(run, decided.facts.current.source);
  const handoff = { epoch: draft.epoch, store: draft.provenBy };
  const base: NewBase =
    draft.continuity === 'resync' ? await takeNewBase(run, handoff) : { kind: 'not-needed' };
  enter(run, 'validate');
  const validation = await validate(run, handoff);
  enter(run, 'done');
  return finished(draft, base, validation);
}
