import type { SourceConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';

/**
 * A clone is made on the host of its server, and read there.
 * @throws refused where this process is elsewhere, with the sources of the cluster through which it could be made
 */
export function assertCloneable(
  { id, mode }: Pick<SourceConfig, 'id' | 'mode'>,
  sources: readonly Pick<SourceConfig, 'id' | 'mode'>[],
): void {
  if (mode === 'host') return;
  const others = sources.filter((source) => source.mode === 'host').map((source) => source.id);
  throw new AppError({
    code: 'SourceIsRemote',
    kind: 'refused',
    message: `${id} is a remote source, and the clone plugin copies only onto the host of its server, so no base backup can be taken through it.`,
    hint:
      others.length === 0
        ? 'Add a replica of it to the sources, with mode host and a worker on its host, name it in archive.fallback.sources, and take the backup there: pitrail backup --source ID.'
        : `Take it through a source of mode host of the same cluster, such as a replica that stands by: pitrail backup --source ${others.join(' or ')}`,
    facts: { source: id, others },
  });
}
