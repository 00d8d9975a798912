import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type Extract, extract, type Header } from 'tar-stream';
import { AppError } from '../domain/errors.ts';
import { syncPath } from '../process/files.ts';

export interface Unpacked {
  readonly files: number;
  /** Bytes of the files. */
  readonly bytes: number;
}

/** How deep a data folder may be nested. */
const MAX_DEPTH = 8;

/**
 * Unpacks a tar stream into an existing empty folder while it arrives, and flushes all of it to disk
 * at the end. Only files and folders with plain relative names are made, each once; the stream is read
 * to its very end. On an error what was written stays; the caller removes it.
 * @throws corrupt `UnsafeTarEntry`, `TarBroken`; what the input throws
 */
export async function unpackInto(folder: string, input: AsyncIterable<Uint8Array>): Promise<Unpacked> {
  const tar = extract();
  let failure: { readonly error: unknown } | undefined;
  const fed = feed(tar, input).catch((error: unknown) => {
    failure = { error };
    // Without an error its iterator would wait for ever where it is asked after the stream has closed.
    tar.destroy(new Error('the input failed'));
  });
  const made: string[] = [];
  let files = 0;
  let bytes = 0;
  try {
    for await (const entry of tar) {
      const path = join(folder, safeName(entry.header));
      made.push(path);
      if (entry.header.type === 'directory') {
        await mkdir(path, { mode: folderMode(entry.header.mode) });
        entry.resume();
      } else {
        bytes += await writeFileFrom(path, entry.header.mode, entry as AsyncIterable<Uint8Array>);
        files += 1;
      }
    }
  } catch (error) {
    throw failure === undefined ? translated(error) : failure.error;
  } finally {
    tar.destroy();
    await fed;
  }
  if (failure !== undefined) throw failure.error;
  for (const path of [...made.reverse(), folder]) await syncPath(path);
  return { files, bytes };
}

async function feed(tar: Extract, input: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of input) {
    if (tar.destroying) return;
    if (!tar.write(chunk)) await drained(tar);
  }
  // Its types demand an argument; undefined writes nothing.
  tar.end(undefined);
}

function drained(tar: Extract): Promise<void> {
  // One that is being destroyed may have said so already.
  if (tar.destroying) return Promise.resolve();
  return new Promise((resolve) => {
    const settle = () => {
      tar.off('drain', settle);
      tar.off('close', settle);
      resolve();
    };
    tar.on('drain', settle);
    // It drains no more; whoever destroyed it says why.
    tar.on('close', settle);
  });
}

async function writeFileFrom(path: string, mode: number, body: AsyncIterable<Uint8Array>): Promise<number> {
  const file = await open(path, 'wx', fileMode(mode));
  try {
    let offset = 0;
    for await (const chunk of body) {
      for (let done = 0; done < chunk.length; ) {
        const { bytesWritten } = await file.write(chunk, done, chunk.length - done, offset);
        done += bytesWritten;
        offset += bytesWritten;
      }
    }
    return offset;
  } finally {
    await file.close();
  }
}

/** Names come from a stored object: authenticated, and checked all the same. */
function safeName({ name, type }: Header): string {
  if (type !== 'file' && type !== 'directory') throw unsafe(name, `it is a ${type}`);
  const plain = type === 'directory' ? name.replace(/\/$/, '') : name;
  const parts = plain.split('/');
  if (plain.includes('\0') || plain.includes('\\'))
    throw unsafe(name, 'its name holds a forbidden character');
  if (parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw unsafe(name, 'its name could lead out of the data folder');
  }
  if (parts.length > MAX_DEPTH) throw unsafe(name, `it is nested deeper than ${MAX_DEPTH}`);
  return plain;
}

/** The owner must be able to use what is restored; nobody else gets more than was stored. */
function fileMode(mode: number): number {
  return (mode & 0o770) | 0o600;
}

function folderMode(mode: number): number {
  return (mode & 0o770) | 0o700;
}

function unsafe(name: string, why: string): AppError {
  return new AppError({
    code: 'UnsafeTarEntry',
    kind: 'corrupt',
    message: `The base backup holds ${JSON.stringify(name.slice(0, 200))}, which is not unpacked: ${why}.`,
    hint: 'No backup of pitrail holds such an entry. Use another backup, and find out who wrote this one.',
    facts: { name: name.slice(0, 200) },
  });
}

function translated(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EEXIST') return unsafe(message, 'a name comes twice');
  // Any other code is the file system's: no space, no permission.
  if (code !== undefined) return error;
  return new AppError({
    code: 'TarBroken',
    kind: 'corrupt',
    message: `The base backup is no whole tar archive (${message}), so it was not restored.`,
    hint: 'Use another backup, or another store.',
    cause: error,
  });
}
