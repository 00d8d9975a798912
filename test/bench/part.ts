/**
 * One part of the benchmark in a process of its own, so that its peak memory is its own, with a worker's
 * settings: part.ts NAME DATA.json
 */
import { readFile } from 'node:fs/promises';
import { tuneProcess } from '../../src/worker/tuned-process.ts';
import { benchReplay } from './replay.ts';
import type { ReplayData } from './replay-data.ts';
import { benchScan } from './scan.ts';
import { benchSeal } from './seal.ts';
import { benchStores } from './stores.ts';
import { benchThrottle } from './throttle.ts';

tuneProcess();
const [part, dataFile] = process.argv.slice(2);
if (dataFile === undefined) throw new Error('usage: part.ts seal|scan|stores|throttle|replay DATA.json');
const data = JSON.parse(await readFile(dataFile, 'utf8')) as ReplayData;
process.stdout.write(`${JSON.stringify(await measure(part, data))}\n`);

function measure(name: string | undefined, on: ReplayData): Promise<unknown> {
  switch (name) {
    case 'seal':
      return benchSeal(on.binlogPath);
    case 'scan':
      return benchScan(on.binlogPath);
    case 'stores':
      return benchStores(on.binlogPath);
    case 'throttle':
      return benchThrottle();
    case 'replay':
      return benchReplay(on);
    default:
      throw new Error(`no part of the benchmark is called ${name}`);
  }
}
