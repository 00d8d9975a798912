import type { ClusterConfig, SourceConfig } from '../../config/types.ts';
import { GtidSet } from '../../domain/gtid-set.ts';
import { type CheckFinding, failed, ok } from './finding.ts';

/** What the server of a source has executed; null where it could not be asked. */
export interface SourceHistory {
  readonly id: string;
  readonly gtidExecuted: string | null;
}

/** Says which of a cluster's sources are archived, and whether the others could go on for them. Pure. */
export function checkClusterSources(
  cluster: Pick<ClusterConfig, 'name' | 'sources'>,
  histories: readonly SourceHistory[],
): readonly CheckFinding[] {
  if (cluster.sources.length < 2) return [];
  const part = `sources ${cluster.name}`;
  return [ok(part, describeRoles(cluster.sources)), ...judgeHistories(part, histories)];
}

/** Who is archived and who stands by, for a cluster of several sources; a clause. Pure. */
export function describeRoles(sources: readonly Pick<SourceConfig, 'id' | 'role'>[]): string {
  const named = (role: SourceConfig['role']) => sources.filter((it) => it.role === role).map(({ id }) => id);
  const [archived, waiting] = [named('archived'), named('fallback')];
  const first =
    archived.length === 1
      ? `${archived.join()} is archived first`
      : `${archived.join(' and ')} are archived side by side, on a timeline each, as archive.redundancy asks`;
  if (waiting.length === 0) return first;
  const stands =
    waiting.length === 1
      ? 'stands by, archived once a handoff names it'
      : 'stand by, archived once a handoff names them';
  return `${first}; ${waiting.join(' and ')} ${stands}`;
}

/**
 * Finds sources whose servers share no transaction with the first one that answered: they are no replicas of it, no
 * handoff can go to them, and standing by they are never archived. Servers without transactions are not judged. Pure.
 */
export function judgeHistories(part: string, histories: readonly SourceHistory[]): readonly CheckFinding[] {
  const known = histories.flatMap(({ id, gtidExecuted }) => {
    const executed = GtidSet.parse(gtidExecuted ?? '');
    return executed.isEmpty ? [] : [{ id, executed }];
  });
  const [first, ...others] = known;
  if (first === undefined) return [];
  return others
    .filter(({ executed }) => executed.intersect(first.executed).isEmpty)
    .map(({ id }) =>
      failed(
        part,
        'NotOfCluster',
        'refused',
        `${id} shares no transaction with ${first.id}: it is no replica of it, so no handoff can go from one to the other, and while one of them stands by it is archived nowhere.`,
        `Servers that do not replicate from one another belong in clusters of their own: name ${id} in another cluster of pitrail.yaml.`,
      ),
    );
}
