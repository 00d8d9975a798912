/** Scanning with every CRC, GTID and position proven, against mysqlbinlog verifying the same file. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { scanFile } from '../../src/binlog/scan.ts';
import { findTool } from '../../src/process/tools.ts';
import { byTurns, median, peakRssBytes, type Ratio, ratioOf } from './measure.ts';

export interface ScanFigures {
  /** How many times as long mysqlbinlog takes as the scanner inside a running process: every CRC, no digest. */
  readonly speedup: Ratio;
  /** The same with the SHA-256 of the file, which mysqlbinlog does not make. */
  readonly digestSpeedup: Ratio;
  /** The same for a whole `pitrail scan` with the start of its process. */
  readonly commandSpeedup: Ratio;
  readonly seconds: {
    readonly mysqlbinlog: number;
    readonly scan: number;
    readonly digest: number;
    readonly command: number;
  };
  readonly rssBytes: number;
}

const ROUNDS = 5;
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

/** Measures the scanner on one binlog. */
export async function benchScan(binlog: string): Promise<ScanFigures> {
  const tool = await findTool('mysqlbinlog');
  const verify = [...tool.args, '--verify-binlog-checksum', binlog];
  const times = await byTurns(ROUNDS, {
    mysqlbinlog: () => runQuietly(tool.program, verify),
    scan: () => scanSound(binlog, 'none'),
    digest: () => scanSound(binlog, 'sha256'),
    command: () => runQuietly(process.execPath, [MAIN, 'scan', '--json', binlog]),
  });
  return {
    speedup: ratioOf(times.mysqlbinlog, times.scan),
    digestSpeedup: ratioOf(times.mysqlbinlog, times.digest),
    commandSpeedup: ratioOf(times.mysqlbinlog, times.command),
    seconds: {
      mysqlbinlog: median(times.mysqlbinlog),
      scan: median(times.scan),
      digest: median(times.digest),
      command: median(times.command),
    },
    rssBytes: peakRssBytes(),
  };
}

async function scanSound(binlog: string, digest: 'sha256' | 'none'): Promise<void> {
  const { problems } = await scanFile(binlog, { digest });
  if (problems.length > 0)
    throw new Error(`the benchmark's binlog is not sound: ${JSON.stringify(problems)}`);
}

async function runQuietly(program: string, args: readonly string[]): Promise<void> {
  // As a shell's `> /dev/null`: nobody reads the output, so nobody slows it down.
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
}
