import { loadEncryptionKey } from '../../archiving/repositories.ts';
import { segmentContext } from '../../archiving/seal-context.ts';
import { backupContext } from '../../backup/seal-context.ts';
import type { CatalogState } from '../../catalog/fold.ts';
import type { ClusterConfig } from '../../config/types.ts';
import { AppError, assertNever } from '../../domain/errors.ts';
import type { StoredObject } from '../../domain/segment.ts';
import type { SealContext } from '../../envelope/context.ts';
import type { EnvelopeKey } from '../../envelope/keys.ts';
import { open } from '../../envelope/open.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { type CheckFinding, failed, findingsOf, ok } from './finding.ts';

/** Something that a restore would have to open. */
interface Sealed {
  /** For people. */
  readonly what: string;
  readonly object: StoredObject;
  readonly context: SealContext;
}

/**
 * Proves that the key opens what a store holds: reads the beginning of its newest binlog and of its
 * newest base backup, and decrypts it. A key that is only there says nothing of that.
 */
export async function checkOpens(
  part: string,
  cluster: ClusterConfig,
  store: ObjectStore,
  state: CatalogState,
): Promise<readonly CheckFinding[]> {
  const newest = newestOf(state);
  const key = await loadedKey(cluster);
  // A key that cannot be loaded is a finding of its own.
  if (key === null || newest.length === 0) return [];
  const findings = await Promise.all(
    newest.map((sealed) => findingsOf(part, () => checkOne(part, store, key, sealed))),
  );
  return findings.flat();
}

async function loadedKey({ encryption }: ClusterConfig): Promise<EnvelopeKey | null> {
  try {
    return await loadEncryptionKey(encryption);
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

function newestOf(state: CatalogState): readonly Sealed[] {
  const segment = state.allSegments().at(-1);
  const backup = state.backups().at(-1);
  const { repositoryId } = state;
  return [
    ...(segment === undefined
      ? []
      : [
          {
            what: `the newest binlog (${segment.segment.binlog})`,
            object: segment.object,
            context: segmentContext(segment.segment, repositoryId),
          },
        ]),
    ...(backup === undefined
      ? []
      : [
          {
            what: `the newest base backup (${backup.backup.backupId})`,
            object: backup.object,
            context: backupContext(backup.backup.backupId, repositoryId),
          },
        ]),
  ];
}

async function checkOne(
  part: string,
  store: ObjectStore,
  key: EnvelopeKey,
  { what, object, context }: Sealed,
): Promise<CheckFinding[]> {
  const mismatch = otherwiseSealed(object, key);
  if (mismatch !== null) {
    const hint =
      'Put encryption back as it was in pitrail.yaml, or take a base backup: restores from it need none of the old.';
    return [failed(part, 'WrongKey', 'refused', `${what} ${mismatch}: it cannot be restored so.`, hint)];
  }
  for await (const _ of open(store.read(object.key), { key, context })) break;
  const how = key.kind === 'none' ? 'can be read' : 'opens with the key';
  return [ok(part, `${what} ${how}`)];
}

/** How an object was sealed where the configuration says otherwise; null where both agree. */
function otherwiseSealed({ encryption }: StoredObject, key: EnvelopeKey): string | null {
  switch (encryption) {
    case 'none':
      return key.kind === 'none' ? null : 'was stored without encryption, and a key is configured';
    case 'aws-encryption-sdk':
      return key.kind === 'none' ? 'was sealed with a key, and encryption is none' : null;
    default:
      return assertNever(encryption);
  }
}
