import type { SourceConfig } from '../../config/types.ts';
import { type CheckFinding, warning } from './finding.ts';

export interface ClusterSources {
  readonly name: string;
  readonly sources: readonly Pick<SourceConfig, 'id' | 'role'>[];
}

/**
 * Warns of several archived sources in one cluster. Each has a timeline of its own: what one of them replicates from the
 * other is archived once more, and no restore mixes the two. Only a source that takes over by a handoff is recognized.
 */
export function checkArchivedTwice({ name, sources }: ClusterSources): readonly CheckFinding[] {
  const archived = sources.filter(({ role }) => role === 'archived').map(({ id }) => id);
  const [first] = archived;
  if (first === undefined || archived.length === 1) return [];
  return [
    warning(
      `sources ${name}`,
      `${archived.join(' and ')} are archived each for itself: where one replicates from another, the same transactions are archived once for each, on timelines that no restore mixes.`,
      `Keep one of them, such as ${first}, and name the others in archive.fallback.sources, so that they take over by a handoff; archive.redundancy: 2 keeps a second copy of each transaction then. Servers that share nothing belong in clusters of their own.`,
    ),
  ];
}
