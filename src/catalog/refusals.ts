import { AppError } from '../domain/errors.ts';
import { catalogBroken } from './broken.ts';

/** No repository was ever created in this store. */
export function repositoryMissing(location: string): AppError {
  return new AppError({
    code: 'RepositoryMissing',
    kind: 'refused',
    message: `${location} holds no repository, so there is nothing to read or restore from it.`,
    hint: 'Check the folder, or the bucket and its prefix. A new repository is made by "pitrail apply".',
    facts: { location },
  });
}

/** The repository belongs to another cluster than the one it was opened for. */
export function foreignRepository(
  location: string,
  wanted: string,
  found: { readonly cluster: string; readonly repositoryId: string },
): AppError {
  return new AppError({
    code: 'ForeignRepository',
    kind: 'refused',
    message:
      `The repository in ${location} belongs to cluster ${JSON.stringify(found.cluster)}, not to ` +
      `${JSON.stringify(wanted)}: mixing two histories would make both unrestorable, so nothing is done.`,
    hint: 'Give each cluster a prefix or folder of its own, or name the cluster as the repository does.',
    facts: { location, wanted, found: found.cluster, repositoryId: found.repositoryId },
  });
}

/** A writer of an epoch that a handoff has ended. */
export function staleEpoch(
  location: string,
  by: { readonly writer: string; readonly epoch: number },
  newest: number,
): AppError {
  return new AppError({
    code: 'StaleEpoch',
    kind: 'conflict',
    message:
      `${by.writer} works in epoch ${by.epoch}, but the catalog in ${location} has reached epoch ${newest}: ` +
      'another writer has taken over, so nothing more is written from here.',
    hint: 'Stop this writer, or start it anew so that it reads the epoch that stands.',
    facts: { location, writer: by.writer, epoch: by.epoch, newest },
  });
}

/** The catalog is not what was seen of it before. */
export function rolledBack(location: string, sequence: number, detail: string): AppError {
  return catalogBroken(location, { sequence, reason: 'rolled-back', detail });
}

/** The store said that an object exists and then did not give it. */
export function entryVanished(location: string, sequence: number): AppError {
  return new AppError({
    code: 'CatalogEntryVanished',
    kind: 'unavailable',
    message: `${location} says that catalog entry ${sequence} exists, but does not give it, so nothing can be appended after it.`,
    hint: 'The store gives stale answers, or someone removed the entry: run "pitrail check".',
    facts: { location, sequence },
  });
}
