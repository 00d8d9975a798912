/** The same binlog archived to one store and to two of equal speed: sealed once, uploaded side by side, read back. */
import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { peekLog } from '../../src/archiving/peek.ts';
import { sealSegment } from '../../src/archiving/seal-segment.ts';
import { stageLogs } from '../../src/archiving/stage.ts';
import { ensureStagingDir, type LogRef, stagedFiles } from '../../src/archiving/staging.ts';
import { uploadSegment } from '../../src/archiving/upload.ts';
import type { VerifyDepth } from '../../src/config/types.ts';
import { parseBinlogName, parseRepositoryId, parseServerUuid } from '../../src/domain/identity.ts';
import { generateKeyFile } from '../../src/envelope/keys.ts';
import { removeIfThere } from '../../src/process/files.ts';
import { withTempDir } from '../../src/process/temp.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { RateGate } from '../../src/storage/guard/rate-gate.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { byTurns, median, peakRssBytes, type Ratio, ratioOf } from './measure.ts';

export interface StoresFigures {
  /** How many times as long two stores take as one. */
  readonly ratio: Ratio;
  /** The same where only the beginning is read back. */
  readonly quickRatio: Ratio;
  readonly seconds: { readonly one: number; readonly two: number };
  readonly rssBytes: number;
}

const ROUNDS = 5;
const REPOSITORY = parseRepositoryId('00000000-0000-4000-8000-000000000000');
const SERVER = parseServerUuid('00000000-0000-4000-8000-000000000001');

/** Measures archiving one binlog to directories on one file system. */
export function benchStores(binlogPath: string): Promise<StoresFigures> {
  return withTempDir('pitrail-bench-stores', async (dir) => {
    const key = await generateKeyFile(join(dir, 'key'));
    const stagingDir = join(dir, 'staging');
    const log = await logOf(binlogPath);
    await ensureStagingDir(stagingDir, SERVER);
    await stageLogs(stagingDir, dirname(binlogPath), [log]);
    const archive = (count: number, verify: VerifyDepth) => async () => {
      const files = stagedFiles(stagingDir, log);
      for (const path of [files.facts, files.sealed]) await removeIfThere(path);
      const stores = await Promise.all(Array.from({ length: count }, () => freshStore(dir)));
      const common = { stagingDir, log, repositoryId: REPOSITORY, key, signal: new AbortController().signal };
      const onProgress = (): void => undefined;
      await sealSegment({ ...common, level: 3, nextPreviousGtids: null, onProgress });
      const gate = new RateGate(null);
      await Promise.all(stores.map((store) => uploadSegment({ ...common, store, verify, gate, onProgress })));
    };
    const times = await byTurns(ROUNDS, {
      one: archive(1, 'full'),
      two: archive(2, 'full'),
      quickOne: archive(1, 'first-8k'),
      quickTwo: archive(2, 'first-8k'),
    });
    return {
      ratio: ratioOf(times.two, times.one),
      quickRatio: ratioOf(times.quickTwo, times.quickOne),
      seconds: { one: median(times.one), two: median(times.two) },
      rssBytes: peakRssBytes(),
    };
  });
}

let stores = 0;

async function freshStore(dir: string): Promise<ObjectStore> {
  stores += 1;
  const directory = join(dir, `store-${stores}`);
  await mkdir(directory);
  return openDirectoryStore({ id: `store-${stores}`, directory });
}

async function logOf(path: string): Promise<LogRef> {
  const binlog = parseBinlogName(basename(path));
  const found = await peekLog(path, binlog);
  if (found.kind === 'corrupt') throw found.error;
  const { createdAt, firstCommit } = found.peek;
  return { serverUuid: SERVER, binlog, createdAt, firstCommit, lengthBytes: (await stat(path)).size };
}
