import { segmentContext } from '../archiving/seal-context.ts';
import { backupContext } from '../backup/seal-context.ts';
import type { CatalogBody } from '../domain/catalog-entry.ts';
import type { RepositoryId } from '../domain/identity.ts';
import type { StoredObject } from '../domain/segment.ts';
import type { SealContext } from '../envelope/context.ts';
import type { ExpectedPlaintext } from '../storage/read-back.ts';

/** An entry that names an object. */
export type SealedBody = Extract<CatalogBody, { kind: 'segment-archived' | 'backup-registered' }>;

/** What the object of an entry is bound to, and what it must open to. */
export interface SealedFacts {
  readonly object: StoredObject;
  readonly context: SealContext;
  readonly expect: ExpectedPlaintext;
}

/** True for an entry that names an object. */
export function isSealed(body: CatalogBody): body is SealedBody {
  return body.kind === 'segment-archived' || body.kind === 'backup-registered';
}

/** Everything that proves the object of an entry. */
export function sealedFacts(body: SealedBody, repositoryId: RepositoryId): SealedFacts {
  if (body.kind === 'segment-archived') {
    const { segment, object } = body;
    const expect = { plaintextSha256: segment.sha256, lengthBytes: segment.lengthBytes };
    return { object, context: segmentContext(segment, repositoryId), expect };
  }
  const { backup, object } = body;
  const expect = { plaintextSha256: backup.tarSha256, lengthBytes: backup.tarBytes };
  return { object, context: backupContext(backup.backupId, repositoryId), expect };
}
