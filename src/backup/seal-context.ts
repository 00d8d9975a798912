import type { BackupId, RepositoryId } from '../domain/identity.ts';
import type { SealContext } from '../envelope/context.ts';

/** What a sealed base backup is bound to. Whoever opens one builds the same context from its catalog entry. */
export function backupContext(backupId: BackupId, repositoryId: RepositoryId): SealContext {
  // The digest is not known before the one pass that seals; the catalog entry holds it.
  return { repositoryId, kind: 'backup', name: 'base.tar', owner: backupId, plaintextSha256: null };
}
