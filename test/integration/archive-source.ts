import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { discover } from '../../src/archiving/discover.ts';
import type { Discovery } from '../../src/archiving/discovery.ts';
import { initRepositories } from '../../src/archiving/init-repositories.ts';
import type { StageRun } from '../../src/archiving/log-access.ts';
import { configuredStores } from '../../src/archiving/read-stores.ts';
import { firstSignature, wallClock } from '../../src/archiving/repositories.ts';
import { ArchiveResources, type ArchiveSourceContext } from '../../src/archiving/resources.ts';
import { loadConfig } from '../../src/config/load.ts';
import { generateKeyFile } from '../../src/envelope/keys.ts';
import { testFolder } from '../support/folder.ts';
import type { TestMysql } from '../support/mysql.ts';
import { createRoleUser } from '../support/mysql-users.ts';

/** A source as a worker opens it, its repository made, without Temporal. */
export interface OpenSource {
  readonly configFile: string;
  readonly context: ArchiveSourceContext;
  readonly storeDir: string;
  look(): Promise<Discovery>;
  /** Looks as a process that has read no catalog yet. */
  lookAnew(): Promise<Discovery>;
  close(): Promise<void>;
}

/** A staging that nobody watches or stops. */
export const UNWATCHED: StageRun = { signal: new AbortController().signal, onProgress: () => undefined };

let users = 0;

/** Opens a test server as a source in a folder of its own. */
export function openSource(mysql: TestMysql, binlogDir = mysql.binlogDir): Promise<OpenSource> {
  return open(mysql, { socket: mysql.socket, binlogDir }, {});
}

/** Opens a test server as a source whose files nobody sees; `where` and `archive` are parts of the configuration. */
export function openRemoteSource(
  mysql: TestMysql,
  where: Readonly<Record<string, unknown>> = { socket: mysql.socket },
  archive: Readonly<Record<string, unknown>> = {},
): Promise<OpenSource> {
  return open(mysql, { ...where, mode: 'remote' }, archive);
}

async function open(
  mysql: TestMysql,
  where: Readonly<Record<string, unknown>>,
  archive: Readonly<Record<string, unknown>>,
): Promise<OpenSource> {
  const folder = await testFolder('pt-source');
  users += 1;
  const { user, password } = await createRoleUser(mysql, `source${users}`, 'archiver');
  await writeFile(join(folder.path, 'password'), password, { mode: 0o600 });
  await generateKeyFile(join(folder.path, 'key'));
  const file = join(folder.path, 'pitrail.yaml');
  const cluster = {
    sources: [{ id: 's', user, password: { file: 'password' }, ...where }],
    stores: [{ id: 'main', directory: 'store' }],
    encryption: { keyFile: 'key' },
    archive: { stagingDir: 'staging', ...archive },
  };
  await writeFile(file, stringify({ clusters: { c: cluster } }));
  const resources = new ArchiveResources(await loadConfig(file));
  const context = await resources.source('c', 's');
  await initRepositories('c', context.repositories, firstSignature('test', wallClock()));
  return {
    configFile: file,
    context,
    storeDir: join(folder.path, 'store'),
    look: () => lookThrough(context),
    async lookAnew() {
      const fresh = new ArchiveResources(await loadConfig(file));
      try {
        return await lookThrough(await fresh.source('c', 's'));
      } finally {
        await fresh.close();
      }
    },
    async close() {
      await resources.close();
      await folder.remove();
    },
  };
}

const NOTHING_KNOWN = { heads: new Map(), setAside: [], givenUp: [] };

function lookThrough(context: ArchiveSourceContext): Promise<Discovery> {
  const stores = configuredStores(context.cluster);
  return context.withSession((session) =>
    discover({ ...context, ...NOTHING_KNOWN, stores, session, nowMs: Date.now() }),
  );
}
