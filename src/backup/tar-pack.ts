import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type Header, type Pack, pack } from 'tar-stream';
import { AppError } from '../domain/errors.ts';
import { faultPoint } from '../process/fault.ts';
import { LentMemory } from '../process/lent-memory.ts';
import type { TarEntry } from './tar-entries.ts';

const CHUNK_BYTES = 512 * 1024;
/** Where the fault point in the middle of an upload lies. */
const MID_UPLOAD_BYTES = 8 * 1024 * 1024;
type EntryHeader = Partial<Header> & Pick<Header, 'name'>;

/** Of every entry, so that the same folder gives the same tar. */
const FIXED = { mtime: new Date(0), uid: 0, gid: 0, uname: '', gname: '' } as const;

/**
 * Streams a tar of the entries; the same entries give the same bytes. A chunk's memory is used again
 * once the next is asked for. Ending early closes the file that is read.
 * @throws corrupt `DataFileChanged` where a file is shorter than when it was listed
 */
export async function* packFolder(
  dataDir: string,
  entries: readonly TarEntry[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const tar = pack();
  const memory = new LentMemory();
  let failure: { readonly error: unknown } | undefined;
  const fed = feed({ tar, dataDir, memory, signal }, entries).catch((error: unknown) => {
    failure = { error };
    tar.destroy();
  });
  let bytes = 0;
  try {
    for await (const chunk of tar as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > MID_UPLOAD_BYTES) faultPoint('backup.mid-upload');
      yield chunk;
      memory.giveBack(chunk);
    }
  } catch (error) {
    throw failure === undefined ? error : failure.error;
  } finally {
    tar.destroy();
    await fed;
  }
  // A destroyed stream may also end without an error.
  if (failure !== undefined) throw failure.error;
}

interface Packing {
  readonly tar: Pack;
  readonly dataDir: string;
  readonly memory: LentMemory;
  readonly signal: AbortSignal;
}

async function feed(packing: Packing, entries: readonly TarEntry[]): Promise<void> {
  const { tar, signal } = packing;
  for (const entry of entries) {
    signal.throwIfAborted();
    if (entry.kind === 'directory') {
      await addEntry(tar, { ...FIXED, name: `${entry.name}/`, mode: entry.mode, type: 'directory' });
    } else {
      await addFile(packing, entry);
    }
  }
  tar.finalize();
}

function addEntry(tar: Pack, header: EntryHeader): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry(header, (error) => (error ? reject(error) : resolve()));
  });
}

async function addFile(
  { tar, dataDir, memory, signal }: Packing,
  entry: Extract<TarEntry, { kind: 'file' }>,
): Promise<void> {
  const { name, mode, lengthBytes } = entry;
  const file = await open(join(dataDir, name), 'r');
  try {
    const { promise: packed, resolve, reject } = Promise.withResolvers<void>();
    // Awaited below; a failure before that must not count as unhandled.
    packed.catch(() => undefined);
    const header: EntryHeader = { ...FIXED, name, mode, type: 'file', size: lengthBytes };
    const sink = tar.entry(header, (error) => (error ? reject(error) : resolve()));
    for (let offset = 0; offset < lengthBytes; ) {
      signal.throwIfAborted();
      const wanted = Math.min(CHUNK_BYTES, lengthBytes - offset);
      const { buffer, bytesRead } = await file.read(memory.take(CHUNK_BYTES), 0, wanted, offset);
      if (bytesRead === 0) throw changed(name, lengthBytes, offset);
      offset += bytesRead;
      if (!sink.write(buffer.subarray(0, bytesRead))) await Promise.race([once(sink, 'drain'), packed]);
    }
    // Its types demand an argument; undefined writes nothing.
    sink.end(undefined);
    await packed;
  } finally {
    await file.close();
  }
}

function changed(name: string, lengthBytes: number, found: number): AppError {
  return new AppError({
    code: 'DataFileChanged',
    kind: 'corrupt',
    message: `${name} of the stopped clone ended at ${found} where ${lengthBytes} bytes were listed: somebody changes the staging folder, and the backup is not what it says.`,
    hint: 'Leave the staging folder alone, and take the backup again.',
    facts: { name, lengthBytes, found },
  });
}
