import type { RepositoryId, ServerUuid } from '../domain/identity.ts';
import type { SealContext } from '../envelope/context.ts';

/** What a sealed binlog is bound to. Whoever opens one builds the same context from its catalog entry. */
export function segmentContext(
  log: { readonly serverUuid: ServerUuid; readonly binlog: string },
  repositoryId: RepositoryId,
): SealContext {
  // The digest is not known before the one pass that seals; the catalog entry holds it.
  return { repositoryId, kind: 'segment', name: log.binlog, owner: log.serverUuid, plaintextSha256: null };
}
