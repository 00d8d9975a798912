import { AppError, assertNever } from '../src/domain/errors.ts';
import { oneLine } from '../src/domain/routing/catalog-view.ts';
import type { StandingHandoff } from '../src/domain/routing/handoff-facts.ts';
import type { HandoffDecision } from '../src/domain/routing/handoff-plan.ts';
import type { Reconciliation } from '../src/domain/routing/handoff-reconcile.ts';
import { gtidsOf, isForNow, refusalWords } from '../src/domain/routing/handoff-words.ts';
import type { HandoffReconciliation, HandoffResult, HandoffValidation } from './contracts/handoff.ts';
import type { Decided, HandoffRun } from './handoff-run.ts';
import { handoffRefused, type Locked, type NewBase } from './handoff-switch.ts';
import { nowText } from './now.ts';

/** A handoff whose boundary stands, before it is validated. */
export interface HandoffDraft
  extends Omit<HandoffResult, 'epoch' | 'validation' | 'backupId' | 'baseMissing' | 'finishedAt'> {
  readonly epoch: number;
  /** The store by which it is validated: one that has the boundary. */
  readonly provenBy: string;
}

export function draftOf(run: HandoffRun, decided: Decided, locked: Locked, fencedAt: string): HandoffDraft {
  const { decision } = decided.plan;
  const [provenBy] = [...locked.stoodIn, ...locked.written];
  if (provenBy === undefined) throw nowhere();
  if (decision.kind !== 'hand-off' && decision.kind !== 'already-done') throw nowhere();
  const epoch = decision.kind === 'hand-off' ? decision.boundary.epoch : decision.epoch;
  const standing = standingOf(decided, epoch);
  const isNew = locked.written.length > 0;
  const continuity =
    decision.kind === 'hand-off'
      ? decision.continuity
      : standing?.route.kind === 'source'
        ? standing.route.continuity.kind
        : null;
  return {
    ...commonOf(run, decided),
    outcome: isNew ? 'handed-over' : 'already-done',
    epoch,
    reason: decision.kind === 'hand-off' ? decision.boundary.reason : (standing?.reason ?? null),
    continuity,
    stores: locked,
    provenBy,
    detail: lackWords(decided, locked),
    fencedAt: isNew ? fencedAt : null,
  };
}

export function finished(
  { provenBy: _provenBy, ...draft }: HandoffDraft,
  base: NewBase,
  validation: HandoffValidation,
): HandoffResult {
  const { from, to, epoch, outcome } = draft;
  const did =
    outcome === 'handed-over'
      ? `${from} was handed to ${to} in epoch ${epoch}.`
      : `${to} holds the archive already, since epoch ${epoch}.`;
  return {
    ...draft,
    backupId: base.kind === 'taken' ? base.backupId : null,
    baseMissing: base.kind === 'missing' ? base.why : null,
    validation,
    detail: `${did} ${validation.detail}${draft.detail}${baseWords(to, base)}`,
    finishedAt: nowText(),
  };
}

/** The result of one that changes nothing: a dry run, or a watch that found nothing wrong. */
export function settledResult(run: HandoffRun, decided: Decided): HandoffResult {
  const { decision } = decided.plan;
  const boundary = decision.kind === 'hand-off' ? decision.boundary : null;
  const stores = placesOf(decided);
  return {
    ...commonOf(run, decided),
    outcome: outcomeOf(decision),
    epoch: decision.kind === 'already-done' ? decision.epoch : (boundary?.epoch ?? null),
    reason: boundary?.reason ?? null,
    continuity: decision.kind === 'hand-off' ? decision.continuity : null,
    stores,
    backupId: null,
    baseMissing: null,
    validation: null,
    detail: decisionWords(run, decision) + lackWords(decided, stores),
    fencedAt: null,
    finishedAt: nowText(),
  };
}

function baseWords(to: string, base: NewBase): string {
  if (base.kind !== 'missing') return '';
  return ` The history of ${to} has no base backup, and nothing of it can be restored before it has: ${base.why}`;
}

/** Where the boundary of a handoff that was made before stands, and which stores still lack it. */
export function standingNow({ facts }: Decided, epoch: number): Locked {
  const [stoodIn, later]: [string[], string[]] = [[], []];
  for (const manifest of facts.stores) {
    const has = manifest.kind === 'read' && manifest.lastHandoff?.epoch === epoch;
    (has ? stoodIn : later).push(manifest.store);
  }
  return { written: [], stoodIn, later };
}

/** Where the boundary would be written, and where it stands. */
function placesOf(decided: Decided): Locked {
  const { decision } = decided.plan;
  switch (decision.kind) {
    case 'hand-off': {
      const { write, standsIn, later } = decision.boundary;
      return { written: write.map(({ store }) => store), stoodIn: standsIn, later };
    }
    case 'already-done':
      return standingNow(decided, decision.epoch);
    case 'stay':
    case 'wait':
    case 'refuse':
      return { written: [], stoodIn: [], later: [] };
    default:
      return assertNever(decision);
  }
}

/** What it means that stores which count lack the boundary; empty where none does. */
function lackWords({ facts }: Decided, { later }: Pick<Locked, 'later'>): string {
  const counting = facts.stores.filter(({ store, policy }) => policy === 'required' && later.includes(store));
  if (counting.length === 0) return '';
  const lacks = counting.map((it) => (it.kind === 'unread' ? `${it.store} (${it.code})` : it.store));
  return ` Nothing counts as archived before ${lacks.join(', ')} can take it, too.`;
}

/** Why nothing was handed over. */
export function refusalOf(run: HandoffRun, { plan }: Decided): AppError {
  const { decision } = plan;
  if (decision.kind === 'wait') {
    return new AppError({
      code: 'CandidateBehind',
      kind: 'unavailable',
      message: `${decisionWords(run, decision)} It had not after ${run.request.waitSeconds} s, so nothing was handed over.`,
      hint: 'Look at the replication of that server, and try again.',
      facts: { to: run.request.to, gtids: decision.gtids, reason: decision.reason },
    });
  }
  const reasons = decision.kind === 'refuse' ? decision.reasons : [];
  if (isForNow(reasons)) {
    return new AppError({
      code: 'NoRequiredStore',
      kind: 'unavailable',
      message: `${reasons.map(refusalWords).join(' ')} Nothing was handed over.`,
      hint: 'Bring one of them back (pitrail check says what is wrong), and try again.',
      facts: { to: run.request.to, reasons: reasons.map(refusalWords) },
    });
  }
  return handoffRefused(run, reasons.map(refusalWords), {
    lostGtids: gtidsOf(reasons, 'lost-transactions'),
    errantGtids: gtidsOf(reasons, 'errant-transactions'),
    gapGtids: gtidsOf(reasons, 'purged-gap'),
  });
}

function commonOf({ request, report }: HandoffRun, { facts, plan }: Decided) {
  const { decision } = plan;
  return {
    cluster: request.cluster,
    from: facts.current.source,
    to: request.to,
    detected: plan.detected,
    reconciliation: plan.reconciliation === null ? null : plainReconciliation(plan.reconciliation),
    refusals: decision.kind === 'refuse' ? decision.reasons : [],
    startedAt: report.startedAt,
  };
}

/** Sets become text: what crosses the border of a workflow is JSON. */
function plainReconciliation(found: Reconciliation): HandoffReconciliation {
  return {
    intersectionTransactions: Number(found.intersection.count()),
    pendingGtids: oneLine(found.pending.toString()),
    nextExpected: found.nextExpected,
    gapGtids: oneLine(found.gap.toString()),
    lackingGtids: oneLine(found.lacking.toString()),
    errantGtids: oneLine(found.errant.toString()),
  };
}

function outcomeOf(decision: HandoffDecision): HandoffResult['outcome'] {
  switch (decision.kind) {
    case 'stay':
      return 'stayed';
    case 'already-done':
      return 'already-done';
    case 'wait':
      return 'waits';
    case 'refuse':
      return 'refused';
    case 'hand-off':
      return 'planned';
    default:
      return assertNever(decision);
  }
}

function decisionWords({ request, report }: HandoffRun, decision: HandoffDecision): string {
  const { to } = request;
  const from = report.from ?? 'the archived source';
  switch (decision.kind) {
    case 'stay':
      return `Nothing is wrong with ${from}, so it goes on.`;
    case 'already-done':
      return `${to} holds the archive already, since epoch ${decision.epoch}.`;
    case 'wait':
      return `${to} has not got ${decision.gtids} yet (${decision.reason}), and is about to.`;
    case 'refuse':
      return `${to} cannot go on with the archive: ${decision.reasons.map(refusalWords).join(' ')}`;
    case 'hand-off':
      return decision.continuity === 'continues'
        ? `${from} would be handed to ${to} in epoch ${decision.boundary.epoch}, without a gap.`
        : `${from} would be handed to ${to} in epoch ${decision.boundary.epoch}, with a history of its own behind a new base backup.`;
    default:
      return assertNever(decision);
  }
}

function standingOf({ facts }: Decided, epoch: number): StandingHandoff | null {
  const found = facts.stores.find(
    (manifest) => manifest.kind === 'read' && manifest.lastHandoff?.epoch === epoch,
  );
  return found?.kind === 'read' ? found.lastHandoff : null;
}

function nowhere(): AppError {
  return new AppError({
    code: 'BoundaryNowhere',
    kind: 'bug',
    message: 'A handoff came behind its boundary, and no store has that.',
  });
}
