import type { SourceConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';

/** A clone is made on the host of its server, and read there. @throws refused where this process is elsewhere */
export function assertCloneable({ id, mode }: SourceConfig): void {
  if (mode === 'host') return;
  throw new AppError({
    code: 'SourceIsRemote',
    kind: 'refused',
    message: `${id} is a remote source, and the clone plugin copies only onto the host of its server, so no base backup can be taken through it.`,
    hint: 'Take it through a source of mode host of the same cluster, such as a replica.',
    facts: { source: id },
  });
}
