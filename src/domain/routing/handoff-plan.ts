import type { Continuity, HandoffRoute, SourceRef } from '../catalog-entry.ts';
import { GtidSet } from '../gtid-set.ts';
import { oneLine } from './catalog-view.ts';
import {
  boundaryOf,
  type HandoffBoundary,
  newestEpoch,
  newestHandoff,
  type ReadManifest,
  type RouteDraft,
  sameSource,
} from './handoff-boundary.ts';
import { type CandidateReach, type HandoffFacts, holderOf, type StandingHandoff } from './handoff-facts.ts';
import { type PreflightRefusal, preflight } from './handoff-preflight.ts';
import { type Reconciliation, reconcile } from './handoff-reconcile.ts';

/** Something that is wrong with the current source. */
export type Detection =
  | { readonly kind: 'source-unreachable'; readonly forSeconds: number }
  | { readonly kind: 'queue-silent'; readonly forSeconds: number }
  | { readonly kind: 'lag'; readonly lagSeconds: number };

/** How a candidate's history is another one than the archive's. GTID sets are exact and canonical. */
export type HistoryBreak =
  /** Archived, and not on the candidate. */
  | { readonly code: 'lost-transactions'; readonly gtids: string }
  /** Committed by the candidate itself while it was a replica. */
  | { readonly code: 'errant-transactions'; readonly gtids: string }
  /** Purged from the candidate's logs before anybody archived them. */
  | { readonly code: 'purged-gap'; readonly gtids: string };

/** It must get these from another store first: the candidate has purged them. */
export interface StoreBehind {
  readonly code: 'required-store-behind';
  readonly store: string;
  readonly gtids: string;
}

export type HandoffDecision =
  /** Nothing is wrong with the current source. */
  | { readonly kind: 'stay' }
  | { readonly kind: 'already-done'; readonly epoch: number }
  /** The candidate is about to have what it lacks. */
  | { readonly kind: 'wait'; readonly reason: 'not-applied' | 'not-received'; readonly gtids: string }
  | { readonly kind: 'refuse'; readonly reasons: readonly (PreflightRefusal | HistoryBreak | StoreBehind)[] }
  | {
      readonly kind: 'hand-off';
      /** `resync`: a base backup of the new source has to follow. */
      readonly continuity: Continuity['kind'];
      readonly boundary: HandoffBoundary;
    };

/** A handoff before anything is done. */
export interface HandoffPlan {
  readonly detected: readonly Detection[];
  /** null where there is no snapshot, or no catalog to compare it with. */
  readonly reconciliation: Reconciliation | null;
  readonly decision: HandoffDecision;
}

type Candidate = Extract<CandidateReach, { kind: 'reachable' }>;

/**
 * Plans the handoff of the archive from one source to another. Changes nothing; planned again after
 * its boundary stands in every store that can take it, it says `already-done`.
 */
export function planHandoff(facts: HandoffFacts): HandoffPlan {
  const detected = detect(facts);
  const { reach, source } = facts.candidate;
  if (reach.kind === 'unreachable') {
    const detail = `${reach.code}: ${reach.message}`;
    const reasons = [{ code: 'candidate-unreachable', detail }] as const;
    return { detected, reconciliation: null, decision: { kind: 'refuse', reasons } };
  }
  const read = facts.stores.filter((manifest): manifest is ReadManifest => manifest.kind === 'read');
  const reconciliation = read.length === 0 ? null : reconcile(facts.current, reach, read);
  const newest = newestHandoff(read);
  const to: SourceRef = { source, serverUuid: reach.serverUuid };
  const decision =
    newest !== null && newest.route.kind === 'source' && sameSource(newest.route.to, to)
      ? goOnWith(facts, behindOf(reconciliation), newest, newest.route)
      : decideAnew(facts, detected, { reach, to, reconciliation, newest, read });
  return { detected, reconciliation, decision };
}

function detect({ current, limits }: HandoffFacts): Detection[] {
  const detected: Detection[] = [];
  const { reach, queue, lagSeconds } = current;
  if (reach.kind === 'unreachable' && reach.forSeconds >= limits.unreachableSeconds) {
    detected.push({ kind: 'source-unreachable', forSeconds: reach.forSeconds });
  }
  if (queue.kind === 'silent' && queue.forSeconds >= limits.silentSeconds) {
    detected.push({ kind: 'queue-silent', forSeconds: queue.forSeconds });
  }
  if (lagSeconds > limits.lagSeconds) detected.push({ kind: 'lag', lagSeconds });
  return detected;
}

/** The candidate holds the archive already, in one store at least: what is left is to write the same in the others. */
function goOnWith(
  { stores }: HandoffFacts,
  behind: readonly string[],
  { epoch, reason }: StandingHandoff,
  route: Extract<HandoffRoute, { kind: 'source' }>,
): HandoffDecision {
  const boundary = boundaryOf(stores, behind, epoch, reason, route);
  if (boundary.write.length === 0) return { kind: 'already-done', epoch };
  return { kind: 'hand-off', continuity: route.continuity.kind, boundary };
}

interface Snapshot {
  readonly reach: Candidate;
  readonly to: SourceRef;
  readonly reconciliation: Reconciliation | null;
  readonly newest: StandingHandoff | null;
  readonly read: readonly ReadManifest[];
}

function decideAnew(
  facts: HandoffFacts,
  [first]: readonly Detection[],
  { reach, to, reconciliation, newest, read }: Snapshot,
): HandoffDecision {
  if (facts.trigger === 'watch' && first === undefined) return { kind: 'stay' };
  const reasons = preflight(facts, reach, newest);
  if (reconciliation === null || reasons.length > 0) return { kind: 'refuse', reasons };
  const waiting = waitFor(facts, reach, reconciliation.lacking);
  if (waiting !== null) return waiting;
  const breaks = breaksOf(reconciliation);
  if (breaks.length > 0 && facts.policy === 'refuse') return { kind: 'refuse', reasons: breaks };
  const continuity = continuityOf(reach, reconciliation, breaks);
  const { source, serverUuid } = facts.current;
  const from = holderOf(newest) ?? { source, serverUuid };
  const draft = { from, to, continuity };
  const behind = behindOf(reconciliation);
  const reason = first?.kind ?? 'operator';
  const boundary = boundaryOf(facts.stores, behind, newestEpoch(read) + 1, reason, draft);
  if (!isFencing(facts, boundary)) return { kind: 'refuse', reasons: requiredBehind(facts, reconciliation) };
  return { kind: 'hand-off', continuity: continuity.kind, boundary };
}

/** Stores that lack what the candidate cannot bring any more. */
function behindOf(reconciliation: Reconciliation | null): readonly string[] {
  return reconciliation?.refill.map(({ store }) => store) ?? [];
}

/** True where the old writer cannot call anything archived any more: that takes every required store. */
function isFencing({ stores }: HandoffFacts, { write }: HandoffBoundary): boolean {
  return write.some(({ store }) => stores.some((it) => it.store === store && it.policy === 'required'));
}

function requiredBehind({ stores }: HandoffFacts, { refill }: Reconciliation): StoreBehind[] {
  const required = stores.filter(({ policy }) => policy === 'required').map(({ store }) => store);
  return refill
    .filter(({ store }) => required.includes(store))
    .map(({ store, gtids }) => ({ code: 'required-store-behind', store, gtids: textOf(gtids) }));
}

/** Waits for what the candidate lacks, where it will soon have it; null where it lacks nothing, or never will. */
function waitFor(facts: HandoffFacts, { replication }: Candidate, lacking: GtidSet): HandoffDecision | null {
  if (lacking.isEmpty || replication.kind === 'none') return null;
  const gtids = textOf(lacking);
  if (lacking.isSubsetOf(GtidSet.parse(replication.receivedGtids))) {
    return { kind: 'wait', reason: 'not-applied', gtids };
  }
  const receives = replication.state === 'running' && facts.current.reach.kind === 'reachable';
  return receives ? { kind: 'wait', reason: 'not-received', gtids } : null;
}

function breaksOf({ lacking, errant, gap }: Reconciliation): HistoryBreak[] {
  const breaks: HistoryBreak[] = [
    { code: 'lost-transactions', gtids: textOf(lacking) },
    { code: 'errant-transactions', gtids: textOf(errant) },
    { code: 'purged-gap', gtids: textOf(gap) },
  ];
  return breaks.filter(({ gtids }) => gtids !== '');
}

function continuityOf(
  { gtidPurged }: Candidate,
  { lacking, gap }: Reconciliation,
  breaks: readonly HistoryBreak[],
): RouteDraft['continuity'] {
  if (breaks.length === 0) return { kind: 'continues', baselineGtids: textOf(GtidSet.parse(gtidPurged)) };
  return { kind: 'resync', lostGtids: textOf(lacking), gapGtids: textOf(gap) };
}

function textOf(set: GtidSet): string {
  return oneLine(set.toString());
}
