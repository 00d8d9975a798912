import { createHash } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import { AppError } from '../domain/errors.ts';
import { readListen } from './listen.ts';
import { parseSize, type WrittenCluster, type WrittenConfig } from './schema.ts';
import type { SecretRef } from './secret.ts';
import type {
  ClusterConfig,
  FallbackConfig,
  HostSource,
  PitrailConfig,
  RemoteSource,
  SourceConfig,
  SourceEndpoint,
  StoreConfig,
  StoreRules,
} from './types.ts';

const DEFAULT_PORT = 3306;

type WrittenSecret = { readonly file?: string | undefined; readonly env?: string | undefined };

/** Turns a configuration that was checked into one with absolute paths, defaults and closed unions. Pure. */
export function settleConfig(written: WrittenConfig, file: string): PitrailConfig {
  const base = dirname(file);
  const { temporal } = written;
  return {
    file,
    region: written.region,
    temporal: {
      address: temporal.address ?? null,
      namespace: temporal.namespace ?? null,
      profile: temporal.profile ?? null,
      apiKey: temporal.apiKey === undefined ? null : settleSecret(temporal.apiKey, base),
    },
    worker: { listen: readListen(String(written.worker.listen ?? '')) ?? null },
    clusters: Object.entries(written.clusters).map(([name, cluster]) => settleCluster(name, cluster, base)),
  };
}

function settleCluster(name: string, cluster: WrittenCluster, base: string): ClusterConfig {
  const { archive, restore, signing, encryption } = cluster;
  const absolute = (path: string | undefined) => (path === undefined ? null : resolve(base, path));
  return {
    name,
    sources: cluster.sources.map((source, index) => ({
      ...settleSource(name, source, archive, base),
      role: roleOf(source.id, index, archive),
    })),
    stores: cluster.stores.map((store) => ({ ...settleStore(store, base), ...settleRules(store) })),
    encryption:
      encryption === 'none'
        ? { kind: 'none' }
        : { kind: 'key-file', keyFile: resolve(base, encryption.keyFile) },
    signing: { keyFile: absolute(signing?.keyFile), publicKeyFile: absolute(signing?.publicKeyFile) },
    archive: {
      pollSeconds: archive.pollSeconds,
      rotateSeconds: archive.rotateSeconds,
      parallelTransfers: archive.parallelTransfers,
      stagingMaxBytes: parseSize(archive.stagingMaxBytes),
      level: archive.level,
      fallback: settleFallback(archive.fallback),
    },
    restore: {
      scratchDir: resolve(base, restore.scratchDir),
      mysqld: absolute(restore.mysqld),
      memoryBytes: sizeOrNull(restore.memory),
    },
    auditFile: absolute(cluster.auditFile) ?? join(resolve(base, restore.scratchDir), 'audit.jsonl'),
  };
}

type WrittenSource = WrittenCluster['sources'][number];

function settleSource(
  cluster: string,
  source: WrittenSource,
  archive: WrittenCluster['archive'],
  base: string,
): Omit<HostSource, 'role'> | Omit<RemoteSource, 'role'> {
  const { id, workerHost, user, mode } = source;
  const endpoint = settleEndpoint(source, base);
  const password = settleSecret(source.password, base);
  const limitBytesPerSecond = sizeOrNull(source.limitPerSecond);
  const { redundancy } = archive;
  const common = { id, workerHost, endpoint, user, password, redundancy, limitBytesPerSecond } as const;
  // A folder for each source of each cluster: all that lies in it goes to that cluster's stores.
  const written = source.stagingDir ?? archive.stagingDir;
  const given = written === undefined ? null : resolve(base, written);
  if (mode === 'remote') {
    if (given === null) throw unchecked('a remote source without stagingDir');
    const replicaServerId = source.replicaServerId ?? serverIdFor(cluster, id);
    const stageAheadBytes = parseSize(archive.stageAhead);
    return { ...common, mode, replicaServerId, stageAheadBytes, stagingDir: join(given, cluster, id) };
  }
  if (source.binlogDir === undefined) throw unchecked('a source without binlogDir');
  const binlogDir = resolve(base, source.binlogDir);
  // Beside the binlogs, so that a hard link is possible, and not in the folder that MySQL looks through.
  const parent = given ?? join(dirname(binlogDir), 'pitrail-staging');
  return { ...common, mode, binlogDir, stagingDir: join(parent, cluster, id) };
}

/**
 * The sources of a cluster replicate from one another, so they have the same transactions: as many as `redundancy` says
 * are archived, from the first on, and the others stand by. Where fallbacks are named those stand by.
 */
function roleOf(
  id: string,
  index: number,
  { fallback, redundancy }: WrittenCluster['archive'],
): SourceConfig['role'] {
  const isArchived = fallback === undefined ? index < redundancy : !fallback.sources.includes(id);
  return isArchived ? 'archived' : 'fallback';
}

/** The same for each start, and above 2^31, where people seldom number their servers. */
function serverIdFor(cluster: string, id: string): number {
  const digest = createHash('sha256').update(`${cluster}/${id}`).digest();
  return (digest.readUInt32BE(0) | 0x8000_0000) >>> 0;
}

function settleFallback(fallback: WrittenCluster['archive']['fallback']): FallbackConfig | null {
  if (fallback === undefined) return null;
  const { sources, after, lagSeconds, policy } = fallback;
  return { sources, afterSeconds: after, lagSeconds, policy };
}

function settleEndpoint(source: WrittenSource, base: string): SourceEndpoint {
  if (source.socket !== undefined) return { kind: 'socket', socket: resolve(base, source.socket) };
  if (source.host === undefined) throw unchecked('a source without socket and host');
  return {
    kind: 'tcp',
    host: source.host,
    port: source.port ?? DEFAULT_PORT,
    tls: settleTls(source.tls ?? { verify: 'ca' }, base),
  };
}

function settleTls(
  tls: NonNullable<WrittenCluster['sources'][number]['tls']>,
  base: string,
): Extract<SourceEndpoint, { kind: 'tcp' }>['tls'] {
  if (typeof tls === 'string') return tls;
  if (tls.verify === 'off') return 'required';
  return { verify: tls.verify, ca: tls.ca === undefined ? null : resolve(base, tls.ca) };
}

function settleRules({ policy, limitPerSecond, verify }: WrittenCluster['stores'][number]): StoreRules {
  return { policy, verify, limitBytesPerSecond: sizeOrNull(limitPerSecond) };
}

function sizeOrNull(size: string | undefined): number | null {
  return size === undefined ? null : parseSize(size);
}

function settleStore(store: WrittenCluster['stores'][number], base: string): StoreConfig {
  const { id, directory, s3, gcs } = store;
  if (directory !== undefined) return { kind: 'directory', id, directory: resolve(base, directory) };
  if (gcs !== undefined) return settleGcs(id, gcs, base);
  if (s3 === undefined) throw unchecked('a store without a home');
  const { accessKeyId, secretAccessKey } = s3;
  return {
    kind: 's3',
    id,
    bucket: s3.bucket,
    region: s3.region,
    prefix: s3.prefix,
    endpoint: s3.endpoint ?? null,
    caFile: s3.caFile === undefined ? null : resolve(base, s3.caFile),
    pathStyle: s3.pathStyle,
    credentials:
      accessKeyId === undefined || secretAccessKey === undefined
        ? null
        : {
            accessKeyId: settleSecret(accessKeyId, base),
            secretAccessKey: settleSecret(secretAccessKey, base),
          },
  };
}

function settleGcs(
  id: string,
  gcs: NonNullable<WrittenCluster['stores'][number]['gcs']>,
  base: string,
): StoreConfig {
  const { credentials = 'default', retentionDays, retentionMode = 'unlocked' } = gcs;
  return {
    kind: 'gcs',
    id,
    bucket: gcs.bucket,
    prefix: gcs.prefix,
    endpoint: gcs.endpoint ?? null,
    caFile: gcs.caFile === undefined ? null : resolve(base, gcs.caFile),
    billedProject: gcs.projectId ?? null,
    credentials: typeof credentials === 'string' ? credentials : settleSecret(credentials, base),
    protection: {
      retention: retentionDays === undefined ? null : { days: retentionDays, mode: retentionMode },
      hold: gcs.hold ?? null,
    },
  };
}

function settleSecret(secret: WrittenSecret, base: string): SecretRef {
  if (secret.file !== undefined) return { file: resolve(base, secret.file) };
  if (secret.env !== undefined) return { env: secret.env };
  throw unchecked('a secret without file and env');
}

function unchecked(what: string): AppError {
  return new AppError({
    code: 'ConfigNotChecked',
    kind: 'bug',
    message: `${what} passed the checks of the configuration.`,
  });
}
