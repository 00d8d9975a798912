/**
 * A process that writes to a catalog: `init CLUSTER`, or `append FROM TO`, which archives the binlogs FROM to TO
 * unless they stand already. Run by tests, several at once, and killed by them.
 */
import { openCatalog } from '../../src/catalog/catalog.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { by, SERVER, segmentBody } from './catalog-samples.ts';

const [directory = '', verb = '', first = '', last = ''] = process.argv.slice(2);
const catalog = openCatalog(openDirectoryStore({ id: 'main', directory }));
const writer = by(`test/${process.pid}/host`);

if (verb === 'init') {
  const state = await catalog.init(first, writer);
  process.stdout.write(state.repositoryId);
} else {
  for (let n = Number(first); n <= Number(last); n += 1) {
    const body = segmentBody(n);
    const wanted = body.kind === 'segment-archived' ? body.segment.binlog : null;
    await catalog.append(body, writer, (state) => {
      const stands = state.segmentsOf(SERVER).find(({ segment }) => segment.binlog === wanted);
      return stands === undefined
        ? { decision: 'append' }
        : { decision: 'stands', sequence: stands.sequence };
    });
  }
}
