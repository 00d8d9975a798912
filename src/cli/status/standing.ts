import { standsBy } from '../../domain/routing/hold.ts';
import type { ClusterFacts, SourceFacts, WorkflowAnswer } from './facts.ts';

/** Why another source is archived in the place of this one; null where this one is, or nobody knows. Pure. */
export function standByOf(workflow: WorkflowAnswer): string | null {
  if (workflow.status !== 'running') return null;
  const { source, hold } = workflow.archive;
  return standsBy(source, hold)?.message ?? null;
}

/** Ids of the stores that never get some of what others hold, as the sources that are archived know it. Pure. */
export function shortForGood({ sources }: Pick<ClusterFacts, 'sources'>): string[] {
  return sources.flatMap(({ workflow }: SourceFacts) => {
    if (workflow.status !== 'running' || standByOf(workflow) !== null) return [];
    return workflow.archive.stores.flatMap(({ store, outOfReach }) => (outOfReach === null ? [] : [store]));
  });
}
