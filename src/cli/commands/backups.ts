import { z } from 'zod';
import type { RegisteredBackup } from '../../catalog/fold.ts';
import { pickCluster, pickStore } from '../../config/pick.ts';
import { defineCommand } from '../command.ts';
import { readCatalog } from '../store-catalog.ts';
import { formatBytes, formatTable } from '../words.ts';

export const command = defineCommand({
  description:
    'Lists the base backups that a store holds, oldest first, as its catalog says. Needs no server and no Temporal.',
  arguments: [],
  options: [
    { flags: '--cluster <name>', description: 'the cluster (default: the only one)' },
    { flags: '--store <id>', description: 'the store to read (default: the first)' },
  ],
  examples: [
    { line: 'pitrail backups', says: 'of the only cluster, from its first store' },
    {
      line: 'pitrail backups --store s3 --json | jq .backups[-1].backupId',
      says: 'the newest one in another store',
    },
  ],
  schema: z.strictObject({ cluster: z.string().optional(), store: z.string().optional() }),
  async run({ config, output }, { options }) {
    const settled = await config();
    const cluster = pickCluster(settled, options.cluster ?? null);
    const store = pickStore(settled, cluster, options.store ?? null);
    const { state } = await readCatalog(cluster, store);
    const backups = state.backups();
    const document = { cluster: cluster.name, store: store.id, backups: backups.map(documentOf) };
    output.result(document, () =>
      backups.length === 0
        ? `${store.id} holds no base backup of ${cluster.name}: nothing can be restored from it. Take one: pitrail backup`
        : tableOf(backups),
    );
    return 0;
  },
});

function documentOf({ backup, object, writtenAt }: RegisteredBackup): unknown {
  return { ...backup, registeredAt: writtenAt, object };
}

function tableOf(backups: readonly RegisteredBackup[]): string {
  const header = ['backup', 'finished', 'server', 'version', 'data', 'stored', 'timeline', 'coordinates'];
  const rows = backups.map(({ backup, object }) => [
    backup.backupId,
    backup.finishedAt,
    backup.serverUuid,
    backup.serverVersion,
    formatBytes(backup.dataBytes),
    formatBytes(object.lengthBytes),
    String(backup.timeline),
    `${backup.coordinates.binlog}:${backup.coordinates.position}`,
  ]);
  return formatTable(header, rows);
}
