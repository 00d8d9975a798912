import { isCancellation, sleep } from '@temporalio/workflow';
import type { CurrentLook } from '../activities/handoff.ts';
import type { CandidateReach, CurrentSource, HandoffFacts } from '../src/domain/routing/handoff-facts.ts';
import { planHandoff } from '../src/domain/routing/handoff-plan.ts';
import type { ArchiveStanding } from '../src/handoff/manifests.ts';
import { describeFailure } from './archive-failures.ts';
import { candidateHost, currentHost, handoffStores } from './handoff-activities.ts';
import { type Decided, enter, type HandoffRun, hostOf } from './handoff-run.ts';

/**
 * Detects, takes the snapshots and decides; waits for transactions that the candidate is about to
 * have, as long as the request says.
 */
export async function decide(run: HandoffRun): Promise<Decided> {
  const { request, report } = run;
  const deadline = Date.now() + request.waitSeconds * 1000;
  for (;;) {
    const facts = await gather(run);
    enter(run, 'decide');
    const plan = planHandoff(facts);
    const isWaiting = plan.decision.kind === 'wait' && request.mode === 'hand-over' && Date.now() < deadline;
    if (plan.decision.kind !== 'wait' || !isWaiting) return { facts, plan };
    report.waitsFor = `${request.to} has not got ${plan.decision.gtids} yet (${plan.decision.reason})`;
    await sleep('1 second');
  }
}

/**
 * The order matters. The catalogs come first, so that what they name the candidate can have; the
 * current source comes last, so that what only the candidate has then is errant.
 */
async function gather(run: HandoffRun): Promise<HandoffFacts> {
  const { request, settings, report } = run;
  const { cluster, from, to } = request;
  enter(run, 'detect');
  const standing = await handoffStores().readStanding({ cluster, from, to });
  report.from = standing.from.source;
  enter(run, 'pre-flight');
  const reach = await lookAtCandidate(run);
  const current = await lookAtCurrent(run, standing);
  return {
    trigger: request.trigger.kind,
    current,
    candidate: { source: to, reach },
    stores: standing.stores,
    policy: request.policy ?? settings.policy,
    limits: settings.limits,
  };
}

async function lookAtCandidate(run: HandoffRun): Promise<CandidateReach> {
  const { cluster, to, trigger } = run.request;
  try {
    return await candidateHost(hostOf(run, to), trigger.kind).lookAtCandidate({ cluster, source: to });
  } catch (error) {
    const { code, message } = awayFrom(error);
    return { kind: 'unreachable', code, message };
  }
}

/** The source that is archived is a server; another one that answers under its name is not it. */
async function lookAtCurrent(run: HandoffRun, { from }: ArchiveStanding): Promise<CurrentSource> {
  const { cluster, trigger } = run.request;
  const away = { kind: 'unreachable', forSeconds: secondsOf(trigger) } as const;
  let seen: CurrentLook;
  try {
    const { lookAtCurrent: look } = currentHost(hostOf(run, from.source), trigger.kind);
    seen = await look({ cluster, source: from.source });
  } catch (error) {
    awayFrom(error);
    const queue = { kind: 'silent', forSeconds: secondsOf(trigger) } as const;
    return { ...from, reach: away, queue, lagSeconds: 0 };
  }
  const queue = { kind: 'served' } as const;
  const { look } = seen;
  // A watch has seen what its lag is due to; one that found the source away says nothing of that.
  const isLagMeant = trigger.kind === 'operator' || trigger.finding === 'lag';
  const lagSeconds = isLagMeant ? seen.lagSeconds : 0;
  const serverUuid = from.serverUuid ?? (look.kind === 'reachable' ? look.serverUuid : null);
  const isIt = look.kind === 'reachable' && look.serverUuid === serverUuid;
  if (!isIt) return { source: from.source, serverUuid, reach: away, queue, lagSeconds: 0 };
  const reach = { kind: 'reachable', gtidExecuted: look.gtidExecuted } as const;
  return { source: from.source, serverUuid, reach, queue, lagSeconds };
}

/** A host without a worker is an answer, too. @throws all else */
function awayFrom(error: unknown): { readonly code: string; readonly message: string } {
  if (isCancellation(error)) throw error;
  const described = describeFailure(error);
  if (described.kind !== 'unavailable') throw described;
  return { code: described.code, message: described.message };
}

/** How long something was wrong already when it is looked at now; an operator has seen nothing yet. */
function secondsOf(trigger: HandoffRun['request']['trigger']): number {
  if (trigger.kind === 'operator') return 0;
  return Math.max(0, Math.round((Date.now() - Date.parse(trigger.failingSince)) / 1000));
}
