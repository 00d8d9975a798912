import { GtidSet } from '../domain/gtid-set.ts';
import type { MysqlSession } from './session.ts';

/** Whether a server applies what others log, and what it has received of that. */
export interface ReplicationFacts {
  /** Whether it writes what it applies into its own logs. */
  readonly logReplicaUpdates: 'ON' | 'OFF';
  readonly channels: readonly {
    readonly state: 'running' | 'stopped';
    /** Received into its relay logs, applied or not; canonical. */
    readonly receivedGtids: string;
    /** server_uuid of the source to which it is connected now; null where it is not. */
    readonly connectedTo: string | null;
  }[];
}

/** Reads the replication channels of a server. Needs REPLICATION CLIENT. @throws refused, unavailable */
export async function readReplication(session: MysqlSession): Promise<ReplicationFacts> {
  const [setting] = await session.query<{ updates: number | string }>(
    'SELECT @@log_replica_updates AS updates',
  );
  const rows = await session.query<Readonly<Record<string, string | null>>>('SHOW REPLICA STATUS');
  return {
    logReplicaUpdates: Number(setting?.updates) === 1 ? 'ON' : 'OFF',
    channels: rows.map((row) => ({
      // `Connecting` is a channel that tries.
      state: row['Replica_IO_Running'] === 'No' ? 'stopped' : 'running',
      connectedTo: row['Replica_IO_Running'] === 'Yes' ? (row['Source_UUID'] ?? null) : null,
      receivedGtids: GtidSet.parse(row['Retrieved_Gtid_Set'] ?? '').toString(),
    })),
  };
}
