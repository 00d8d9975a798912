import { constants } from 'node:fs';
import { type FileHandle, link, lstat, open, stat, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { atStore, noHardLinks } from './directory/errors.ts';
import {
  checkInside,
  type Layout,
  layoutOf,
  makeFolders,
  objectPath,
  syncFolder,
} from './directory/layout.ts';
import { walk } from './directory/list.ts';
import { readSidecar, writeSidecar } from './directory/sidecar.ts';
import { removeAbandoned, writeTemporary } from './directory/temporary.ts';
import { checkPrefix } from './keys.ts';
import { checkMetadata } from './metadata.ts';
import type {
  CreateOptions,
  CreateOutcome,
  ListedObject,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
} from './object-store.ts';
import {
  bodyLengthDiffers,
  objectMissing,
  requestedRange,
  storedDiffers,
  storeUnreachable,
} from './refusals.ts';

const READ_CHUNK_BYTES = 1024 * 1024;

/**
 * Opens a store in a folder: one file for each object, under its key. The folder may be absent (it
 * is an empty store then, and is made by the first object), its parent may not. Nothing is touched yet.
 */
export function openDirectoryStore(config: { readonly id: string; readonly directory: string }): ObjectStore {
  return new DirectoryStore(config.id, resolve(config.directory));
}

class DirectoryStore implements ObjectStore {
  readonly kind = 'directory';
  readonly id: string;
  readonly location: string;
  readonly #layout: Layout;
  #cleaned = false;

  constructor(id: string, root: string) {
    this.id = id;
    this.location = root;
    this.#layout = layoutOf(root);
  }

  async create(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: CreateOptions = {},
  ): Promise<CreateOutcome> {
    const path = objectPath(this.#layout, key);
    const metadata = options.metadata ?? {};
    checkMetadata(metadata);
    await this.#prepare(path);
    const written = await writeTemporary(
      this.#layout,
      watched(body, options),
      options.onProgress ?? noProgress,
    );
    try {
      if (options.lengthBytes !== undefined && options.lengthBytes !== written.lengthBytes) {
        throw bodyLengthDiffers(key, options.lengthBytes, written.lengthBytes);
      }
      const outcome = await atStore(this.location, 'write', () => this.#link(written.path, path));
      if (outcome === 'exists') return { status: 'exists' };
    } finally {
      // A crash before this line leaves a temporary file, which a later create removes.
      await atStore(this.location, 'write', () => unlink(written.path));
    }
    const { lengthBytes, sha256, crc32 } = written;
    // After the object: a crash in between leaves an object without metadata, never the reverse.
    await atStore(this.location, 'write', () => writeSidecar(this.#layout, key, { metadata, crc32 }));
    return { status: 'created', lengthBytes, sha256, crc32 };
  }

  async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    const { start, end } = requestedRange(options);
    const file = await this.#openObject(key);
    try {
      const { size } = await atStore(this.location, 'read', () => file.stat());
      for (let offset = start; offset < Math.min(end, size); ) {
        options.signal?.throwIfAborted();
        const wanted = Math.min(READ_CHUNK_BYTES, Math.min(end, size) - offset);
        const buffer = Buffer.allocUnsafe(wanted);
        const { bytesRead } = await atStore(this.location, 'read', () =>
          file.read(buffer, 0, wanted, offset),
        );
        if (bytesRead === 0) {
          throw storedDiffers(this.location, key, `it had ${size} bytes, and ends at ${offset} now`);
        }
        offset += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const path = objectPath(this.#layout, key);
    return atStore(this.location, 'read', async () => {
      const stats = await this.#ifThere(async () => {
        await checkInside(this.#layout, path);
        return lstat(path);
      });
      if (stats === undefined || !stats.isFile()) return undefined;
      const sidecar = await readSidecar(this.#layout, key);
      return {
        key,
        lengthBytes: stats.size,
        metadata: sidecar?.metadata ?? {},
        checksum: sidecar === undefined ? null : { kind: 'crc32', hex: sidecar.crc32 },
      };
    });
  }

  async *list(prefix: string, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<ListedObject> {
    checkPrefix(prefix);
    const found = walk(this.#layout.root, prefix);
    if ((await atStore(this.location, 'list', () => this.#rootState())) === 'absent') return;
    try {
      for (;;) {
        options.signal?.throwIfAborted();
        const next = await atStore(this.location, 'list', () => found.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await found.return(undefined);
    }
  }

  async close(): Promise<void> {}

  /** Makes the folders on the way, and once in the life of this store removes what crashes left. */
  async #prepare(path: string): Promise<void> {
    await atStore(this.location, 'write', async () => {
      await this.#rootState();
      await makeFolders(this.#layout, dirname(path));
      await checkInside(this.#layout, path);
      if (this.#cleaned) return;
      this.#cleaned = true;
      await removeAbandoned(this.#layout, Date.now());
    });
  }

  /** The precondition: link(2) never replaces a name, and gives it to one writer only. */
  async #link(from: string, to: string): Promise<'created' | 'exists'> {
    let outcome: 'created' | 'exists' = 'created';
    try {
      await link(from, to);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS') throw noHardLinks(this.location, code);
      if (code !== 'EEXIST') throw error;
      outcome = 'exists';
    }
    // Until this returns, a crash of the machine may forget the name. Also where another writer
    // made it: this one may be the first to tell somebody that the object is there.
    await syncFolder(dirname(to));
    return outcome;
  }

  async #openObject(key: string): Promise<FileHandle> {
    const path = objectPath(this.#layout, key);
    return atStore(this.location, 'read', async () => {
      const file = await this.#ifThere(async () => {
        await checkInside(this.#layout, path);
        return open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      });
      if (file === undefined) throw objectMissing(this.location, key);
      if ((await file.stat()).isFile()) return file;
      await file.close();
      throw objectMissing(this.location, key);
    });
  }

  /** What an operation gives; undefined where the object is not there, but the store is. */
  async #ifThere<T>(operation: () => Promise<T>): Promise<T | undefined> {
    try {
      return await operation();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
      await this.#rootState();
      return undefined;
    }
  }

  /** Whether the folder is there. @throws unavailable where its parent is not, either */
  async #rootState(): Promise<'present' | 'absent'> {
    const { root } = this.#layout;
    try {
      if ((await stat(root)).isDirectory()) return 'present';
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await stat(dirname(root));
      return 'absent';
    }
    throw storeUnreachable(this.location, 'it is not a folder');
  }
}

async function* watched(body: AsyncIterable<Uint8Array>, options: CreateOptions): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    options.signal?.throwIfAborted();
    yield chunk;
  }
  options.signal?.throwIfAborted();
}

function noProgress(): void {}
