/**
 * The benchmark: `npm run bench`, or `npm run bench -- --json --only seal,scan,replay`. Every ratio is measured
 * in this one run, by turns; nothing here passes or fails.
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runTool } from '../../src/process/run.ts';
import { withTempDir } from '../../src/process/temp.ts';
import { generateReplayData } from './replay-data.ts';
import { describeFigures, type Figures } from './report.ts';

const PARTS = ['seal', 'scan', 'stores', 'throttle', 'replay'] as const;
const LOG_BYTES = 210_000_000;
const PART_TIMEOUT_MS = 3 * 3600 * 1000;

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const wanted = (values.only ?? PARTS.join(',')).split(',');
const unknown = wanted.filter((name) => !PARTS.some((part) => part === name));
if (unknown.length > 0) {
  process.stderr.write(`no such part: ${unknown.join(', ')}; there are ${PARTS.join(', ')}\n`);
  process.exit(64);
}

const figures = await withTempDir('pitrail-bench', measureIn);
process.stdout.write(`${values.json ? JSON.stringify(documentOf(figures)) : describeFigures(figures)}\n`);

async function measureIn(dir: string): Promise<Figures> {
  say(`writing a binlog of ${LOG_BYTES / 1e6} MB with a real server`);
  const data = await generateReplayData(dir, LOG_BYTES);
  const dataFile = join(dir, 'data.json');
  await writeFile(dataFile, JSON.stringify(data));
  const parts: Record<string, unknown> = {};
  for (const part of PARTS.filter((name) => wanted.includes(name))) {
    say(`measuring ${part}`);
    const program = { program: process.execPath, args: [join(import.meta.dirname, 'part.ts')] };
    const { stdout } = await runTool(program, [part, dataFile], { timeoutMs: PART_TIMEOUT_MS });
    parts[part] = JSON.parse(stdout);
  }
  return { binlogBytes: data.binlogBytes, cores: cpus().length, parts };
}

/** One document, each part under its name, and the peak memory of all parts together under `rssBytes`. */
function documentOf({ parts, ...rest }: Figures): unknown {
  const rssBytes = Object.fromEntries(
    Object.entries(parts).flatMap(([part, found]) => {
      const bytes = (found as { readonly rssBytes?: unknown }).rssBytes;
      return bytes === undefined ? [] : [[part, bytes]];
    }),
  );
  return { ...parts, rssBytes, ...rest };
}

function say(words: string): void {
  process.stderr.write(`bench: ${words}\n`);
}
