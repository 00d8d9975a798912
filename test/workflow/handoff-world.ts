import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { CatalogEntry } from '../../src/domain/catalog-entry.ts';
import type { ArchiveStatus } from '../../workflows/contracts/archive.ts';
import type { HandoffResult } from '../../workflows/contracts/handoff.ts';
import type { WatchStatus } from '../../workflows/contracts/watch.ts';
import type { TestMysql } from '../support/mysql.ts';
import { startTestReplica, type TestReplica } from '../support/mysql-replica.ts';
import { createShop } from '../support/workload.ts';
import { type ArchiveWorld, type CliResult, startArchiveWorld, type WorldOptions } from './archive-world.ts';

/** A primary `shop-1` that is archived, and its replica `shop-2` that stands by as its fallback. No worker yet. */
export interface HandoffWorld extends ArchiveWorld {
  readonly replica: TestReplica;
  statusOf(source: string): Promise<ArchiveStatus>;
  /** What the watch over the archived source sees, and what it has done. */
  watching(): Promise<WatchStatus>;
  /** `pitrail handoff --json`, with what it printed. */
  handoff(...args: readonly string[]): Promise<CliResult & { readonly document: HandoffDocument }>;
  /** Entries of a directory store as they lie there, in order, read without the catalog's own reader. */
  rawEntries(storeDir?: string): Promise<CatalogEntry[]>;
}

/** What the command prints: a result, or an error. */
export type HandoffDocument = HandoffResult & {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly facts: Record<string, unknown>;
  };
};

export interface HandoffWorldOptions extends WorldOptions {
  /** Keys of `archive.fallback` beside `sources`; null for no fallback. */
  readonly fallback?: Readonly<Record<string, unknown>> | null;
  /** Called with the primary once it runs, before anything connects to it. */
  readonly onServer?: (mysql: TestMysql) => void;
  /** Changes a source of the configuration: another endpoint, another host, another mode. */
  readonly endpoint?: (source: 'shop-1' | 'shop-2', server: TestMysql) => Readonly<Record<string, unknown>>;
}

/** Starts both servers with the same data, and a configuration that knows both. */
export async function startHandoffWorld(options: HandoffWorldOptions = {}): Promise<HandoffWorld> {
  const world = await startArchiveWorld(options);
  options.onServer?.(world.mysql);
  await createShop(world.mysql);
  const replica = await startTestReplica(world.mysql);
  await replica.catchUp();
  const config = parse(await readFile(world.config, 'utf8'));
  const { sources, archive } = config.clusters.shop;
  const heir = { ...sources[0], id: 'shop-2', socket: replica.socket, binlogDir: replica.binlogDir };
  config.clusters.shop.sources = [sources[0], heir].map((source) => {
    const more = options.endpoint?.(source.id, source === heir ? replica : world.mysql) ?? {};
    const { socket, binlogDir, ...rest } = source;
    const way = 'host' in more ? {} : { socket };
    return { ...rest, ...way, ...(more['mode'] === 'remote' ? {} : { binlogDir }), ...more };
  });
  if (options.fallback !== null) archive.fallback = { sources: ['shop-2'], ...options.fallback };
  await writeFile(world.config, stringify(config));
  return {
    ...world,
    replica,
    statusOf: (source) =>
      world.client.workflow.getHandle(`archive/shop/${source}`).query<ArchiveStatus>('status'),
    watching: () => world.client.workflow.getHandle('watch/shop').query<WatchStatus>('watching'),
    async handoff(...args) {
      const result = await world.pitrail('handoff', '--json', ...args);
      return { ...result, document: JSON.parse(result.stdout) };
    },
    rawEntries: (storeDir = world.storeDir) => rawEntriesIn(storeDir),
    async stop() {
      await replica.stop();
      await world.stop();
    },
  };
}

/** What makes a source of the configuration one that is read as a replica reads, over TLS. */
export function readRemotely(server: TestMysql): Readonly<Record<string, unknown>> {
  const { host, port, dataDir } = server;
  return { mode: 'remote', host, port, tls: { ca: join(dataDir, 'ca.pem') } };
}

async function rawEntriesIn(storeDir: string): Promise<CatalogEntry[]> {
  const folder = join(storeDir, 'catalog');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted();
  return Promise.all(
    names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as CatalogEntry),
  );
}
