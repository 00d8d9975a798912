/** Sealing as archiving does it, CRC of every event included, against bare zstd on the same binlog. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { readFileChunks } from '../../src/binlog/file-chunks.ts';
import { BinlogScanner } from '../../src/binlog/scanner.ts';
import { parseRepositoryId } from '../../src/domain/identity.ts';
import type { SealContext } from '../../src/envelope/context.ts';
import { type EnvelopeKey, generateKeyFile } from '../../src/envelope/keys.ts';
import { open } from '../../src/envelope/open.ts';
import { type Sealed, type SealResult, seal } from '../../src/envelope/seal.ts';
import { BLOCK_BYTES, BLOCKS_IN_FLIGHT } from '../../src/envelope/zstd-params.ts';
import { withTempDir } from '../../src/process/temp.ts';
import { byTurns, median, peakRssBytes, type Ratio, ratioOf } from './measure.ts';

export interface SealFigures {
  /** How many times as long sealing takes as compressing alone. */
  readonly ratio: Ratio;
  /** The same for opening what was sealed: decrypted, decompressed, both digests compared. */
  readonly openRatio: Ratio;
  /** What it is measured against. */
  readonly reference: string;
  readonly seconds: { readonly reference: number; readonly seal: number; readonly open: number };
  readonly binlogBytes: number;
  readonly storedBytes: number;
  readonly rssBytes: number;
}

const ROUNDS = 7;
const LEVEL = 3;
const CONTEXT: SealContext = {
  repositoryId: parseRepositoryId('00000000-0000-4000-8000-000000000000'),
  kind: 'segment',
  name: 'binlog.000001',
  owner: '00000000-0000-4000-8000-000000000001',
  plaintextSha256: null,
};

/** One zstd stream in a Node process, for machines without the zstd program. */
const NODE_ZSTD = `const { createZstdCompress, constants } = require('node:zlib');
require('node:fs').createReadStream(process.argv[1], { highWaterMark: 1 << 20 })
  .pipe(createZstdCompress({ chunkSize: 1 << 20, params: { [constants.ZSTD_c_compressionLevel]: ${LEVEL} } }))
  .pipe(process.stdout);`;

/** Measures sealing and opening of one binlog. */
export function benchSeal(binlog: string): Promise<SealFigures> {
  return withTempDir('pitrail-bench-seal', async (dir) => {
    const key = await generateKeyFile(join(dir, 'key'));
    const reference = await zstdReference(binlog);
    const sealedFile = join(dir, 'sealed');
    const { result, output } = sealBinlog(binlog, key);
    await pipeline(Readable.from(output), createWriteStream(sealedFile));
    const sealed = await result;
    const times = await byTurns(ROUNDS, {
      reference: () => runQuietly(reference.program, reference.args),
      seal: () => drain(sealBinlog(binlog, key).output),
      open: () => drain(openSealed(sealedFile, key, sealed)),
    });
    return {
      ratio: ratioOf(times.seal, times.reference),
      openRatio: ratioOf(times.open, times.reference),
      reference: reference.name,
      seconds: { reference: median(times.reference), seal: median(times.seal), open: median(times.open) },
      binlogBytes: sealed.plaintextBytes,
      storedBytes: sealed.storedBytes,
      rssBytes: peakRssBytes(),
    };
  });
}

function sealBinlog(binlog: string, key: EnvelopeKey): Sealed {
  const scanner = new BinlogScanner({ file: binlog });
  const input = readFileChunks(binlog, { chunkBytes: BLOCK_BYTES, buffers: BLOCKS_IN_FLIGHT + 1 });
  return seal(input, { key, context: CONTEXT, level: LEVEL, onPlaintext: (chunk) => scanner.push(chunk) });
}

function openSealed(file: string, key: EnvelopeKey, sealed: SealResult): AsyncIterable<Uint8Array> {
  return open(createReadStream(file, { highWaterMark: BLOCK_BYTES }), {
    key,
    context: { ...CONTEXT, plaintextSha256: sealed.plaintextSha256 },
    plaintextBytes: sealed.plaintextBytes,
  });
}

async function drain(stream: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of stream);
}

interface Reference {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

async function zstdReference(binlog: string): Promise<Reference> {
  const args = [`-${LEVEL}`, '-T1', '-q', '-c', binlog];
  try {
    const { stdout } = await promisify(execFile)('zstd', ['--version']);
    const version = /v[0-9.]+/.exec(stdout)?.[0] ?? '';
    return { name: `zstd -${LEVEL} -T1 (${version})`, program: 'zstd', args };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return {
      name: `zstd level ${LEVEL}, one stream in Node ${process.version} (no zstd program here)`,
      program: process.execPath,
      args: ['-e', NODE_ZSTD, binlog],
    };
  }
}

async function runQuietly(program: string, args: readonly string[]): Promise<void> {
  // As a shell's `> /dev/null`: nobody reads the output, so nobody slows it down.
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
}
