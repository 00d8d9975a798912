import { GtidSet } from './gtid-set.ts';
import type { CatalogSegment, PlanFacts } from './plan-facts.ts';
import { newestTimeline } from './plan-timeline.ts';

/** What the catalogs say without some logs, and which logs hold the same transactions. */
export interface FactsWithout {
  readonly facts: PlanFacts;
  readonly replaced: readonly { readonly lost: CatalogSegment; readonly by: CatalogSegment }[];
}

/**
 * Leaves logs out that cannot be read, where all their transactions stand in others of the timeline: its end is
 * the same state then. Another target may be another one, because those have an order and times of their own.
 * Null where something would be missing.
 * @param unreadable keys of objects
 * @param timeline null: the newest
 */
export function factsWithout(
  facts: PlanFacts,
  unreadable: ReadonlySet<string>,
  timeline: number | null,
): FactsWithout | null {
  const isLost = ({ object }: CatalogSegment) => unreadable.has(object.key);
  const line = timeline ?? newestTimeline(facts);
  const own = facts.segments.filter((entry) => entry.timeline === line);
  const rest = own.filter((entry) => !isLost(entry));
  const held = GtidSet.unionAll(rest.map(({ segment }) => GtidSet.parse(segment.gtids)));
  const replaced: { lost: CatalogSegment; by: CatalogSegment }[] = [];
  for (const lost of own.filter(isLost)) {
    const gtids = GtidSet.parse(lost.segment.gtids);
    const by = rest.find(({ segment }) => !GtidSet.parse(segment.gtids).intersect(gtids).isEmpty);
    if (by === undefined || lost.segment.anonymousTransactions > 0 || !gtids.isSubsetOf(held)) return null;
    replaced.push({ lost, by });
  }
  if (replaced.length === 0) return null;
  const baselines = facts.baselines.map((baseline) => ({
    ...baseline,
    from: facts.segments.slice(0, baseline.from).filter((entry) => !isLost(entry)).length,
  }));
  const segments = facts.segments.filter((entry) => !isLost(entry));
  return { facts: { ...facts, segments, baselines }, replaced };
}
