import type { StorePolicy } from '../domain/routing/store-policy.ts';
import type { ListenAddress } from './listen.ts';
import type { SecretRef } from './secret.ts';

/** Where a source listens. */
export type SourceEndpoint =
  | { readonly kind: 'socket'; readonly socket: string }
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      /** `required` encrypts and proves nothing. A `ca` of null: the authorities of this host are trusted. */
      readonly tls: 'off' | 'required' | { readonly verify: 'ca' | 'identity'; readonly ca: string | null };
    };

interface AnySource {
  readonly id: string;
  /** The host worker whose task queue (`host.{workerHost}`) does the work on this source's logs; staging is there. */
  readonly workerHost: string;
  readonly endpoint: SourceEndpoint;
  readonly user: string;
  readonly password: SecretRef;
  /** Where closed binlogs of this source lie until they are archived; no other source, of whatever cluster, has the same. */
  readonly stagingDir: string;
  /** In how many servers' logs each transaction shall be archived; 1 or 2. */
  readonly redundancy: number;
  /** `fallback`: it is archived only after a handoff named it. */
  readonly role: 'archived' | 'fallback';
  /** What goes to all stores together; null: no limit. */
  readonly limitBytesPerSecond: number | null;
}

/** A server whose files the worker sees. */
export interface HostSource extends AnySource {
  readonly mode: 'host';
  readonly binlogDir: string;
}

/** A server whose logs are read as a replica reads them. */
export interface RemoteSource extends AnySource {
  readonly mode: 'remote';
  readonly replicaServerId: number;
  /** How many bytes of logs may lie staged at once. */
  readonly stageAheadBytes: number;
}

export type SourceConfig = HostSource | RemoteSource;

export type StoreConfig =
  | { readonly kind: 'directory'; readonly id: string; readonly directory: string }
  | {
      readonly kind: 's3';
      readonly id: string;
      readonly bucket: string;
      readonly region: string;
      /** Without slashes at its ends; empty for the whole bucket. */
      readonly prefix: string;
      readonly endpoint: string | null;
      /** PEM file of the authorities that may have signed the certificate of the endpoint; null for those of this host. */
      readonly caFile: string | null;
      readonly pathStyle: boolean;
      /** Null: the usual AWS sources are asked. */
      readonly credentials: { readonly accessKeyId: SecretRef; readonly secretAccessKey: SecretRef } | null;
    }
  | {
      readonly kind: 'gcs';
      readonly id: string;
      readonly bucket: string;
      /** Without slashes at its ends; empty for the whole bucket. */
      readonly prefix: string;
      readonly endpoint: string | null;
      /** PEM file of the authorities that may have signed the certificate of the endpoint; null for those of this host. */
      readonly caFile: string | null;
      /** The project that is billed where the requester pays. */
      readonly billedProject: string | null;
      /** `default`: what Google's own tools find; `anonymous`: nobody; else where a service account key lies. */
      readonly credentials: 'default' | 'anonymous' | SecretRef;
      readonly protection: {
        readonly retention: { readonly days: number; readonly mode: 'unlocked' | 'locked' } | null;
        readonly hold: 'event-based' | 'temporary' | null;
      };
    };

/** How a store is treated, wherever it is. */
export interface StoreRules {
  readonly policy: StorePolicy;
  /** In each direction, of one worker; null: no limit. */
  readonly limitBytesPerSecond: number | null;
  readonly verify: VerifyDepth;
}

/** How a stored binlog is proven: `full` reads all of it back. */
export type VerifyDepth = 'full' | 'first-8k';

/** A store of a cluster. */
export type ClusterStore = StoreConfig & StoreRules;

export type EncryptionConfig =
  | { readonly kind: 'key-file'; readonly keyFile: string }
  | { readonly kind: 'none' };

/** Who takes over when the archived source fails, and when it counts as failed. */
export interface FallbackConfig {
  /** Ids of sources, in the order in which they are asked. */
  readonly sources: readonly string[];
  readonly afterSeconds: number;
  readonly lagSeconds: number;
  readonly policy: 'refuse' | 'resync';
}

export interface ArchiveConfig {
  readonly pollSeconds: number;
  /** 0: pitrail closes no binlog by itself. */
  readonly rotateSeconds: number;
  readonly parallelTransfers: number;
  /** Bound of the staging folder of one source. */
  readonly stagingMaxBytes: number;
  /** zstd level, 1 to 19. */
  readonly level: number;
  /** Null: no handoff happens by itself. */
  readonly fallback: FallbackConfig | null;
}

export interface RestoreConfig {
  readonly scratchDir: string;
  /** Null: the program that is found. */
  readonly mysqld: string | null;
  /** Null: decided from what is free. */
  readonly memoryBytes: number | null;
}

export interface ClusterConfig {
  readonly name: string;
  readonly sources: readonly SourceConfig[];
  readonly stores: readonly ClusterStore[];
  readonly encryption: EncryptionConfig;
  readonly signing: { readonly keyFile: string | null; readonly publicKeyFile: string | null };
  readonly archive: ArchiveConfig;
  readonly restore: RestoreConfig;
  /** Where this machine writes down restores, refusals, handoffs and purges. */
  readonly auditFile: string;
}

/** What of Temporal pitrail.yaml says; null leaves it to Temporal's own profile and environment. */
export interface TemporalConfig {
  readonly address: string | null;
  readonly namespace: string | null;
  readonly profile: string | null;
  readonly apiKey: SecretRef | null;
}

/** The whole configuration: every path absolute, every default filled in, no secret in it. */
export interface PitrailConfig {
  /** The file that it was read from. */
  readonly file: string;
  readonly region: string;
  readonly temporal: TemporalConfig;
  /** Where workers serve metrics and health; null: nowhere. */
  readonly worker: { readonly listen: ListenAddress | null };
  readonly clusters: readonly ClusterConfig[];
}
