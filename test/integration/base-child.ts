/** Takes a backup, or fetches one, in a process of its own, which the test kills. Its one argument is a JSON file. */
import { readFile } from 'node:fs/promises';
import { openRepositories } from '../../src/archiving/repositories.ts';
import type { BackupRequest } from '../../src/backup/state.ts';
import { claimDataFolder } from '../../src/restoring/data-folder.ts';
import { type BaseToFetch, fetchBase } from '../../src/restoring/fetch-base.ts';
import { contextOf, type RigConfig, takeBackupDurably } from './base-rig.ts';
import { readerOf } from './reader.ts';

/** What the child does. */
export type ChildTask =
  | { readonly kind: 'backup'; readonly request: BackupRequest; readonly historyDir: string }
  | {
      readonly kind: 'fetch';
      readonly base: BaseToFetch;
      readonly storeId: string;
      readonly targetDir: string;
      readonly restoreId: string;
    };

const [file] = process.argv.slice(2);
const { config, task } = JSON.parse(await readFile(file ?? '', 'utf8')) as {
  config: RigConfig;
  task: ChildTask;
};
const repositories = await openRepositories(config.cluster);
if (task.kind === 'backup') {
  await takeBackupDurably(await contextOf(config, repositories), task.request, task.historyDir);
} else {
  await fetch(task);
}
await repositories.close();

async function fetch({ base, storeId, targetDir, restoreId }: Extract<ChildTask, { kind: 'fetch' }>) {
  const home = repositories.all.find(({ store }) => store.id === storeId);
  if (home === undefined) throw new Error(`no store ${storeId}`);
  const { repositoryId } = await home.catalog.read();
  await fetchBase({
    reader: readerOf({ store: home.store, key: repositories.key, repositoryId }),
    base,
    folder: await claimDataFolder({ targetDir, restoreId, neededBytes: base.backup.tarBytes }),
    signal: new AbortController().signal,
    onProgress: () => undefined,
  });
}
