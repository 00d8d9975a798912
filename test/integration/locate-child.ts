/** Walks all that locate finds in an archive, with the heap that the test gives it, and prints what came. */
import { loadConfig } from '../../src/config/load.ts';
import { pickCluster } from '../../src/config/pick.ts';
import { parseInstant } from '../../src/domain/time.ts';
import { openArchive } from '../../src/restoring/archive.ts';
import { locateInArchive, segmentsToSearch } from '../../src/restoring/locate-archive.ts';

const [configFile = '', since = ''] = process.argv.slice(2);
const archive = await openArchive(pickCluster(await loadConfig(configFile), 'shop'), null);
const request = {
  table: null,
  ops: ['delete'],
  since: parseInstant(since),
  until: null,
  timeline: null,
} as const;
const segments = segmentsToSearch(archive.facts, request);
let found = 0;
let first: number | null = null;
let outOfOrder = 0;
let rows = 0;
for await (const { gtid, rows: deleted } of locateInArchive(
  archive.reader,
  segments,
  request,
  new AbortController().signal,
  () => undefined,
)) {
  const number = Number(gtid?.split(':')[1]);
  first ??= number;
  if (number !== first + found) outOfOrder += 1;
  found += 1;
  rows += deleted ?? 0;
}
await archive.close();
process.stdout.write(`${JSON.stringify({ found, first, outOfOrder, rows, segments: segments.length })}\n`);
