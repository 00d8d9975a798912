import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../domain/errors.ts';
import type { Sha256 } from '../domain/identity.ts';

/** A file or folder that travels, by its name relative to the data folder, with `/` between its parts. */
export type TarEntry =
  | { readonly kind: 'directory'; readonly name: string; readonly mode: number }
  | { readonly kind: 'file'; readonly name: string; readonly mode: number; readonly lengthBytes: number };

/** Digest and length of the tar, which every attempt and every store must agree on. */
export interface TarDigest {
  readonly tarBytes: number;
  readonly tarSha256: Sha256;
}

const BLOCK_BYTES = 512;

/**
 * What a cleanly stopped copy holds and a restored server makes anew, or must not have: identity,
 * certificates and keys of this host, logs, temporary files, the clone's own notes, spare redo files
 * and doublewrite buffers (needed only after a crash: a clone itself comes without them).
 * The folder performance_schema travels: without it the clone plugin does not load in a restored server.
 */
const LEFT_BEHIND = [
  /^auto\.cnf$/,
  /^mysqld-auto\.cnf$/,
  /\.pem$/,
  /\.(pid|sock|lock|err)$/,
  /^#clone(\/|$)/,
  /^#innodb_temp(\/|$)/,
  /^#innodb_redo\/.*_tmp$/,
  /^#ib_archive(\/|$)/,
  /^#ib_.*\.dblwr$/,
  /^ibtmp1$/,
  /(^|\/)(core|core\.\d+)$/,
] as const;

/**
 * Lists what of a data folder goes into the tar: sorted by code unit, every folder before its content.
 * @throws refused `UnsafeDataFile` on a link, a socket, a device, or a name that is not UTF-8
 */
export async function listTarEntries(dataDir: string): Promise<TarEntry[]> {
  const entries: TarEntry[] = [];
  await collect(dataDir, '', entries);
  return entries;
}

/** Size of the tar stream of these entries; exact, as long as no name is longer than 100 bytes. */
export function tarLength(entries: readonly TarEntry[]): number {
  const body = (entry: TarEntry) =>
    entry.kind === 'file' ? Math.ceil(entry.lengthBytes / BLOCK_BYTES) * BLOCK_BYTES : 0;
  return entries.reduce((sum, entry) => sum + BLOCK_BYTES + body(entry), 2 * BLOCK_BYTES);
}

/** Bytes of the files that travel. */
export function dataLength(entries: readonly TarEntry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.lengthBytes : 0), 0);
}

async function collect(dataDir: string, folder: string, entries: TarEntry[]): Promise<void> {
  const found = await readdir(join(dataDir, folder), { withFileTypes: true });
  found.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of found) {
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (LEFT_BEHIND.some((pattern) => pattern.test(name))) continue;
    if (entry.name.includes('\uFFFD')) throw unsafe(name, 'its name is not UTF-8');
    const { mode, size } = await stat(join(dataDir, name));
    if (entry.isDirectory()) {
      entries.push({ kind: 'directory', name, mode: mode & 0o777 });
      await collect(dataDir, name, entries);
    } else if (entry.isFile()) {
      entries.push({ kind: 'file', name, mode: mode & 0o777, lengthBytes: size });
    } else {
      throw unsafe(name, 'it is neither a file nor a folder');
    }
  }
}

function unsafe(name: string, why: string): AppError {
  return new AppError({
    code: 'UnsafeDataFile',
    kind: 'refused',
    message: `${JSON.stringify(name)} in the cloned data folder cannot be stored: ${why}.`,
    hint: 'Find out what put it there, and take the backup again.',
    facts: { name },
  });
}
