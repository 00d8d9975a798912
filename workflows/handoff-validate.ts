import { isCancellation, sleep } from '@temporalio/workflow';
import type { HandoffVerdict } from '../src/domain/routing/handoff-validation.ts';
import { validateHandoff } from '../src/domain/routing/handoff-validation.ts';
import type { HandoffName } from '../src/handoff/validation.ts';
import { describeFailure } from './archive-failures.ts';
import type { HandoffValidation } from './contracts/handoff.ts';
import { candidateHost, handoffStores } from './handoff-activities.ts';
import { type HandoffRun, hostOf } from './handoff-run.ts';

/** How often the new source is looked at: at first, and at most. */
const FIRST_SECONDS = 1;
const MOST_SECONDS = 5;

/**
 * Waits until the first log of the new source is archived behind the boundary and the lag is within
 * its limit, proves that nothing archived was lost, and writes the result into the catalogs.
 */
export async function validate(run: HandoffRun, handoff: HandoffName): Promise<HandoffValidation> {
  const { request } = run;
  const deadline = Date.now() + request.validateSeconds * 1000;
  let validation = await look(run, handoff);
  for (
    let seconds = FIRST_SECONDS;
    validation.verdict === 'settling' && Date.now() < deadline;
    seconds = Math.min(2 * seconds, MOST_SECONDS)
  ) {
    run.report.waitsFor = validation.detail;
    await sleep(`${seconds} seconds`);
    validation = await look(run, handoff);
  }
  run.report.waitsFor = null;
  const { verdict, lagSeconds, lagTransactions, detail } = validation;
  if (verdict === 'settling') return validation;
  const outcome = { handoffEpoch: handoff.epoch, verdict, lagSeconds, lagTransactions, detail };
  await handoffStores().recordOutcome({ cluster: request.cluster, source: request.to, outcome });
  return validation;
}

/** What cannot be asked now is not proven yet. */
async function look(run: HandoffRun, handoff: HandoffName): Promise<HandoffValidation> {
  const { cluster, to, trigger } = run.request;
  try {
    const { readValidation } = candidateHost(hostOf(run, to), trigger.kind);
    const facts = await readValidation({ cluster, source: to, handoff });
    const { limits } = run.settings;
    const verdict = validateHandoff({ ...facts, lagLimitSeconds: limits.lagSeconds });
    const { lagSeconds } = facts;
    const { lagTransactions } = verdict;
    return {
      verdict: verdict.kind,
      lagSeconds,
      lagTransactions,
      detail: wordsOf(to, handoff.store, verdict),
    };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const described = describeFailure(error);
    if (described.kind !== 'unavailable') throw described;
    return { verdict: 'settling', lagSeconds: null, lagTransactions: 0, detail: described.message };
  }
}

/** Of one store, the one that is asked: others may lack more. */
function wordsOf(to: string, store: string, verdict: HandoffVerdict): string {
  const behind = `${verdict.lagTransactions} transactions of ${to} are not in ${store} yet`;
  switch (verdict.kind) {
    case 'validated':
      return `${to} goes on without a gap; ${behind}.`;
    case 'settling':
      return verdict.reason === 'first-log' ? `No log of ${to} is in ${store} yet; ${behind}.` : `${behind}.`;
    case 'failed':
      return `Archived before the handoff, and not on ${to} or in the archive now: ${verdict.gtids}.`;
  }
}
