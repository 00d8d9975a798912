import { AppError } from '../../domain/errors.ts';
import { storeDenied, storeUnreachable } from '../refusals.ts';

/** What a file operation was for, in the words of a permission. */
export type Access = 'read' | 'write' | 'list';

/** Runs a file operation of the store and converts the system's errors. */
export async function atStore<T>(location: string, access: Access, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw error instanceof AppError ? error : fileError(location, access, error as NodeJS.ErrnoException);
  }
}

function fileError(location: string, access: Access, error: NodeJS.ErrnoException): AppError {
  const code = error.code ?? error.name;
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return storeDenied(location, `${access} access`, `${code} at ${error.path ?? 'a file'}`);
    case 'ENOSPC':
    case 'EDQUOT':
      return storeFull(location, code, error);
    case 'ENOENT':
    case 'ENOTDIR':
      return storeUnreachable(location, `${error.path ?? 'its folder'} is not there`, error);
    default:
      return storeUnreachable(location, `${code} at ${error.path ?? 'a file'}`, error);
  }
}

function storeFull(location: string, code: string, cause: unknown): AppError {
  return new AppError({
    code: 'StoreFull',
    kind: 'unavailable',
    message: `${location} has no space left (${code}): the object was not created, and what was written of it is removed.`,
    hint: 'Free space or enlarge the file system; it is tried again.',
    facts: { location, code },
    cause,
  });
}

/** The file system has no hard links, and so no way to create a whole file with a precondition. */
export function noHardLinks(location: string, code: string): AppError {
  return new AppError({
    code: 'NoPreconditions',
    kind: 'refused',
    message: `${location} lies on a file system without hard links (${code}): a file cannot be created there whole and once, so nothing is stored.`,
    hint: 'Use a file system with hard links (ext4, xfs, btrfs, zfs, NFS), or an S3 store.',
    facts: { location, code },
  });
}
