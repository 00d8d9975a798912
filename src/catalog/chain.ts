import type { KeyObject } from 'node:crypto';
import type { CatalogEntry } from '../domain/catalog-entry.ts';
import type { RepositoryId, Sha256 } from '../domain/identity.ts';
import { BreakFound, type BreakReason } from './broken.ts';
import { decodeEntry } from './decode.ts';
import { type DigestedEntry, digestOf, isSignedBy } from './entry-codec.ts';
import { epochAfter } from './epoch.ts';

/** The last entry of a catalog that was read and verified. */
export interface CatalogHead {
  readonly sequence: number;
  readonly sha256: Sha256;
}

/** Where a verified chain stands: all that the next entry is judged by. */
export interface ChainPoint {
  readonly head: CatalogHead;
  readonly repositoryId: RepositoryId;
  readonly epoch: number;
}

/**
 * Verifies that these stored bytes are the entry after `after` (null: the first entry).
 * A break of the link itself carries reason `link` and names `sequence`; which of the two
 * neighbours was changed takes more reading (see `blame.ts`).
 * @throws BreakFound, or refused for a newer format
 */
export function verifyNext(
  after: ChainPoint | null,
  sequence: number,
  bytes: Uint8Array,
  trustedKey: KeyObject | null,
): DigestedEntry {
  const entry = decodeEntry(bytes, sequence);
  const found = faultOf(after, sequence, entry, trustedKey);
  if (found !== null) throw new BreakFound({ sequence, ...found });
  return { entry, sha256: digestOf(bytes) };
}

type Fault = { readonly reason: BreakReason; readonly detail: string };

function faultOf(
  after: ChainPoint | null,
  sequence: number,
  entry: CatalogEntry,
  trustedKey: KeyObject | null,
): Fault | null {
  if (entry.sequence !== sequence) {
    return {
      reason: 'sequence',
      detail: `the object of entry ${sequence} holds entry ${entry.sequence} (copied, swapped or renamed)`,
    };
  }
  const isFirst = entry.body.kind === 'repository-created';
  if (isFirst !== (sequence === 1)) {
    return {
      reason: 'kind',
      detail: `entry ${sequence} has kind ${entry.body.kind}, which cannot stand there`,
    };
  }
  if (after !== null && entry.repositoryId !== after.repositoryId) {
    return {
      reason: 'repository',
      detail: `entry ${sequence} belongs to repository ${entry.repositoryId}, not to ${after.repositoryId}`,
    };
  }
  if (entry.previous !== (after === null ? null : after.head.sha256)) {
    return {
      reason: 'link',
      detail: `entry ${sequence} was not written after what now stands as entry ${sequence - 1}`,
    };
  }
  if (after !== null && entry.epoch !== epochAfter(after.epoch, entry.body.kind)) {
    return {
      reason: 'epoch',
      detail: `entry ${sequence} (${entry.body.kind}) has epoch ${entry.epoch} after epoch ${after.epoch}`,
    };
  }
  if (trustedKey !== null && !isSignedBy(entry, trustedKey)) {
    const what =
      entry.signature === null ? 'is not signed' : 'has a signature that the trusted key does not confirm';
    return { reason: 'signature', detail: `entry ${sequence} ${what}` };
  }
  return null;
}

/** The point after an entry that was verified. */
export function pointAfter(stored: DigestedEntry): ChainPoint {
  return {
    head: { sequence: stored.entry.sequence, sha256: stored.sha256 },
    repositoryId: stored.entry.repositoryId,
    epoch: stored.entry.epoch,
  };
}
