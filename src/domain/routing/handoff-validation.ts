import { GtidSet } from '../gtid-set.ts';
import { oneLine } from './catalog-view.ts';

/** What the archive and its new source say after a handoff. Plain JSON. */
export interface ValidationFacts {
  /** Covered at the boundary: archived, logged before the archive, or given up. */
  readonly coveredAtBoundary: string;
  /** The same, now. */
  readonly coveredNow: string;
  /** `gtid_executed` of the new source, now. */
  readonly gtidExecuted: string;
  /** Age of its oldest transaction that is not covered; null where that is not known. */
  readonly lagSeconds: number | null;
  readonly lagLimitSeconds: number;
  /** Whether the first log of the new source is archived behind the boundary. */
  readonly firstLog: 'archived' | 'waiting' | 'nothing-to-archive';
}

/** Whether a handoff holds. */
export type HandoffVerdict =
  | { readonly kind: 'validated'; readonly lagTransactions: number }
  /** Not yet: look again. */
  | { readonly kind: 'settling'; readonly reason: 'first-log' | 'lag'; readonly lagTransactions: number }
  /** Something that was covered is covered no more, or was never on the new source. */
  | { readonly kind: 'failed'; readonly gtids: string; readonly lagTransactions: number };

/** Judges a handoff by continuity and lag, after its boundary stands. */
export function validateHandoff(facts: ValidationFacts): HandoffVerdict {
  const before = GtidSet.parse(facts.coveredAtBoundary);
  const now = GtidSet.parse(facts.coveredNow);
  const executed = GtidSet.parse(facts.gtidExecuted);
  const lagTransactions = Number(executed.subtract(now).count());
  const broken = before.subtract(now).union(before.subtract(executed));
  if (!broken.isEmpty) return { kind: 'failed', gtids: oneLine(broken.toString()), lagTransactions };
  if (facts.firstLog === 'waiting') return { kind: 'settling', reason: 'first-log', lagTransactions };
  const behind =
    lagTransactions > 0 && (facts.lagSeconds ?? Number.POSITIVE_INFINITY) > facts.lagLimitSeconds;
  if (behind) return { kind: 'settling', reason: 'lag', lagTransactions };
  return { kind: 'validated', lagTransactions };
}
