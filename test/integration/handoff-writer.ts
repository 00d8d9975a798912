/**
 * A process that writes to a catalog as a source: `archive SOURCE SERVER_UUID FROM TO` takes the epoch at its
 * start and archives the binlogs FROM to TO; `hand-off SOURCE SERVER_UUID EPOCH` hands the archive to a source.
 * Says on stdout what it has done, line by line. The store is in PITRAIL_TEST_STORE, as JSON. Exit 5: fenced.
 */
import { openCatalog } from '../../src/catalog/catalog.ts';
import { AppError, EXIT_CODES } from '../../src/domain/errors.ts';
import { parseServerUuid } from '../../src/domain/identity.ts';
import { claimEpoch } from '../../src/domain/routing/hold.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openS3Store } from '../../src/storage/s3/store.ts';
import { by, handoffBody, segmentBody } from './catalog-samples.ts';

/** Where the writers of a test write. */
export type WriterStore =
  | { readonly kind: 'directory'; readonly directory: string }
  | {
      readonly kind: 's3';
      readonly endpoint: string;
      readonly region: string;
      readonly bucket: string;
      readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
    };

/** Opens the store of a test's writers. */
export function openWriterStore(config: WriterStore): ObjectStore {
  if (config.kind === 'directory') return openDirectoryStore({ id: 'main', directory: config.directory });
  const { credentials, ...rest } = config;
  return openS3Store({
    ...rest,
    id: 'main',
    prefix: '',
    forcePathStyle: true,
    credentials: async () => credentials,
  });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function archive(store: ObjectStore, source: string, uuid: string, from: number, to: number) {
  const catalog = openCatalog(store, { cluster: 'shop' });
  const state = await catalog.read();
  const serverUuid = parseServerUuid(uuid);
  const claim = claimEpoch(
    { epoch: state.epoch, handoffs: state.handoffs() },
    { source, serverUuid, role: 'archived' },
  );
  if (claim.kind === 'in-reserve') throw new Error('no fallback was asked for');
  if (claim.kind === 'handed-away') {
    say(`handed away to ${claim.to}`);
    return EXIT_CODES.conflict;
  }
  say(`holds ${claim.epoch}`);
  for (let n = from; n <= to; n += 1) {
    await catalog.append(segmentBody(n), by(`test/${process.pid}/${source}`, claim.epoch));
    say(`archived ${n}`);
  }
  return 0;
}

async function handOff(store: ObjectStore, source: string, uuid: string, epoch: number) {
  const catalog = openCatalog(store, { cluster: 'shop' });
  const body = handoffBody(source, parseServerUuid(uuid));
  await catalog.append(body, by(`test/${process.pid}/handoff`, epoch), (state) => {
    const last = state.handoffs().at(-1);
    const isOurs = last?.epoch === epoch && last.route.kind === 'source' && last.route.to.source === source;
    return isOurs ? { decision: 'stands', sequence: last.sequence } : { decision: 'append' };
  });
  say(`handed to ${source}`);
  return 0;
}

async function main(): Promise<number> {
  const [verb, source = '', uuid = '', first = '', last = ''] = process.argv.slice(2);
  const store = openWriterStore(JSON.parse(process.env['PITRAIL_TEST_STORE'] ?? '') as WriterStore);
  try {
    return verb === 'archive'
      ? await archive(store, source, uuid, Number(first), Number(last))
      : await handOff(store, source, uuid, Number(first));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    say(`${error.code}: ${error.message}`);
    return EXIT_CODES[error.kind];
  } finally {
    await store.close();
  }
}

if (import.meta.main) process.exitCode = await main();
