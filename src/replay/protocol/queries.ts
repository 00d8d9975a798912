/**
 * Answers to the statements of a connecting replica. Nothing is answered that is not known: a silent OK
 * could make a replica believe in a setting that this source does not have.
 * Source: sql/rpl_replica.cc (get_source_version_and_clock, get_source_uuid, io_thread_init_commands).
 */
import type { ChecksumAlgorithm } from '../../binlog/format-description.ts';
import { SERVER_VERSION } from './handshake.ts';

/** What one connection has set. */
export interface SessionSettings {
  /** Whether events that the source makes end in a checksum, before any file said so. */
  readonly checksum: ChecksumAlgorithm;
  /** 0: no heartbeats. */
  readonly heartbeatMs: number;
  readonly replicaUuid: string;
}

export const INITIAL_SETTINGS: SessionSettings = { checksum: 'none', heartbeatMs: 0, replicaUuid: '' };

/** What a source says of itself. */
export interface SourceIdentity {
  readonly serverId: number;
  readonly serverUuid: string;
}

export type QueryAnswer =
  | { readonly kind: 'value'; readonly column: string; readonly value: string }
  | { readonly kind: 'set'; readonly settings: SessionSettings }
  | { readonly kind: 'unknown-variable'; readonly name: string }
  | { readonly kind: 'unknown-statement' };

type Assignment = (settings: SessionSettings, value: string) => SessionSettings | null;

const SERVER_CHECKSUM = '@@global.binlog_checksum';

/** Every user variable that replicas and mysqlbinlog set; null means that the value is not understood. */
const ASSIGNMENTS: Readonly<Record<string, Assignment>> = {
  source_heartbeat_period: setHeartbeat,
  master_heartbeat_period: setHeartbeat,
  source_binlog_checksum: setChecksum,
  master_binlog_checksum: setChecksum,
  replica_uuid: setUuid,
  slave_uuid: setUuid,
};

function setHeartbeat(settings: SessionSettings, value: string): SessionSettings | null {
  if (!/^[0-9]{1,19}$/.test(value)) return null;
  return { ...settings, heartbeatMs: Math.ceil(Number(value) / 1e6) };
}

function setChecksum(settings: SessionSettings, value: string): SessionSettings | null {
  const choice = value.toLowerCase();
  if (choice === SERVER_CHECKSUM || choice === 'crc32') return { ...settings, checksum: 'crc32' };
  return choice === 'none' ? { ...settings, checksum: 'none' } : null;
}

function setUuid(settings: SessionSettings, value: string): SessionSettings | null {
  return { ...settings, replicaUuid: value };
}

/** Decides on one statement; `nowSeconds` is Unix time. */
export function answerQuery(
  sql: string,
  settings: SessionSettings,
  identity: SourceIdentity,
  nowSeconds: number,
): QueryAnswer {
  const text = sql.trim().replace(/;$/, '');
  // A client that connects again sends its character set; no answer of a source depends on it.
  if (/^SET NAMES [a-z0-9_]+$/i.test(text)) return { kind: 'set', settings };
  if (/^SET\s/i.test(text)) return answerSet(text.slice(4), settings);
  const selected = /^SELECT\s+(\S+)$/i.exec(text)?.[1];
  if (selected === undefined) return { kind: 'unknown-statement' };
  const value = (result: string): QueryAnswer => ({ kind: 'value', column: selected, value: result });
  switch (selected.toLowerCase()) {
    case 'unix_timestamp()':
      return value(String(nowSeconds));
    case 'version()':
      return value(SERVER_VERSION);
    case '@@global.server_id':
      return value(String(identity.serverId));
    case '@@global.server_uuid':
      return value(identity.serverUuid);
    case '@@global.gtid_mode':
      return value('ON');
    case '@source_binlog_checksum':
    case '@master_binlog_checksum':
      return value(settings.checksum.toUpperCase());
    default:
      return selected.startsWith('@@')
        ? { kind: 'unknown-variable', name: selected }
        : { kind: 'unknown-statement' };
  }
}

function answerSet(assignments: string, settings: SessionSettings): QueryAnswer {
  let current = settings;
  for (const part of assignments.split(',')) {
    const match = /^\s*@([a-z_]+)\s*=\s*(?:'([^']*)'|([^\s']+))\s*$/i.exec(part);
    const assign = ASSIGNMENTS[match?.[1]?.toLowerCase() ?? ''];
    const next = assign?.(current, match?.[2] ?? match?.[3] ?? '');
    if (next === undefined || next === null) return { kind: 'unknown-statement' };
    current = next;
  }
  return { kind: 'set', settings: current };
}
