import { chooseLogs } from './choose-logs.ts';
import { GtidSet } from './gtid-set.ts';
import type { PlanFacts } from './plan-facts.ts';
import { timelineOf } from './plan-timeline.ts';
import { plannedSegment } from './planned-segment.ts';
import type { RestorePlan } from './restore-plan.ts';

/**
 * The same plan, to the same state from the same base, without some objects that cannot be read; null where no
 * other logs bring what they held. What is replayed already stays good: it is a part of either.
 * @param facts what the catalogs say now, which may be more than when it was planned
 * @param unreadable keys of objects
 */
export function planWithout(
  facts: PlanFacts,
  plan: RestorePlan,
  unreadable: ReadonlySet<string>,
): RestorePlan | null {
  const segments = facts.segments.map((entry) =>
    unreadable.has(entry.object.key) ? { ...entry, stores: [] } : entry,
  );
  const line = timelineOf({ ...facts, segments }, plan.timeline);
  if (line === null || plan.base === null) return null;
  const expected = GtidSet.parse(plan.expectedGtids);
  const base = GtidSet.parse(plan.base.gtidExecuted);
  const { selected, missing } = chooseLogs(line, expected.subtract(base));
  if (!missing.isEmpty) return null;
  const reasons = plan.verdict.reasons.filter(({ code }) => code !== 'other-logs');
  const note = { code: 'other-logs', because: 'missing', binlogs: selected.length } as const;
  return {
    ...plan,
    segments: selected.map((chosen) => plannedSegment(chosen, expected, base)),
    bytes: {
      ...plan.bytes,
      segments: selected.reduce((sum, { segment }) => sum + segment.entry.object.lengthBytes, 0),
    },
    verdict: { ...plan.verdict, reasons: [...reasons, note] },
  };
}
