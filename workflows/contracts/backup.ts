/** What crosses the border of `takeBackup`. */
import { z } from 'zod';
import { type Contract, clusterName, sourceId } from './contract.ts';

/** Input of `takeBackup`, id `backup/{cluster}/{time}`. */
export interface TakeBackupInput {
  readonly cluster: string;
  readonly source: string;
}

export const TAKE_BACKUP: Contract<TakeBackupInput> = {
  name: 'takeBackup input',
  schema: z.strictObject({ cluster: clusterName, source: sourceId }),
  example: '{"cluster":"shop","source":"shop-1"}',
};

/** The five phases of a backup, in order; each is one activity of that name. */
export const BACKUP_PHASES = [
  'prepare',
  'executeUnderLimits',
  'captureCoordinates',
  'sealAndUpload',
  'validateAndRegister',
] as const;

export type BackupPhase = (typeof BACKUP_PHASES)[number];

/** Answer of the query `progress` of `takeBackup`. */
export interface BackupProgress {
  /** Null until the first phase has begun. */
  readonly backupId: string | null;
  /** `completing`: registered, and waiting until the binlogs up to its end are archived. */
  readonly phase: BackupPhase | 'completing' | 'done';
  readonly startedAt: string;
}

/** Result of `takeBackup`. */
export interface TakeBackupResult {
  readonly cluster: string;
  readonly source: string;
  readonly backupId: string;
  readonly gtidExecuted: string;
  readonly binlog: string;
  readonly position: number;
  readonly timeline: number;
  readonly dataBytes: number;
  readonly storedBytes: number;
  /** `waiting`: the binlogs up to its end are not archived yet, so it is no base for later targets. */
  readonly completeness: 'complete' | 'waiting';
  /** What the operator should know. */
  readonly notes: readonly string[];
  /** Ids of the stores that have it: read back whole, and named in their catalogs. */
  readonly stores: readonly string[];
  /** Stores that lack it, because they failed: `pitrail sync` brings it there. */
  readonly lackedBy: readonly { readonly store: string; readonly code: string; readonly message: string }[];
  readonly startedAt: string;
  readonly finishedAt: string;
}
