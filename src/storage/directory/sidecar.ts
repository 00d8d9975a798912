import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { type Layout, makeFolders, metadataPath } from './layout.ts';

/** What a directory keeps beside an object: for people and `head`, never needed to restore. */
const sidecarSchema = z.object({
  metadata: z.record(z.string(), z.string()),
  crc32: z.string().regex(/^[0-9a-f]{8}$/),
});

export type Sidecar = Readonly<z.infer<typeof sidecarSchema>>;

/** Writes the sidecar of an object; whole or not at all. */
export async function writeSidecar(layout: Layout, key: string, sidecar: Sidecar): Promise<void> {
  const path = metadataPath(layout, key);
  await makeFolders(layout, dirname(path));
  const temporary = join(layout.temporary, `${process.pid}-${randomBytes(12).toString('hex')}`);
  await writeFile(temporary, `${JSON.stringify(sidecar)}\n`, { flag: 'wx', mode: 0o640 });
  await rename(temporary, path);
}

/** The sidecar of an object; undefined where it was lost, or is none. */
export async function readSidecar(layout: Layout, key: string): Promise<Sidecar | undefined> {
  let text: string;
  try {
    text = await readFile(metadataPath(layout, key), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
  const parsed = sidecarSchema.safeParse(jsonOrNull(text));
  return parsed.success ? parsed.data : undefined;
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A torn sidecar is a lost one.
    return null;
  }
}
