/** What crosses the border of `restoreToPoint`. */
import { z } from 'zod';
import { type Contract, clusterName } from './contract.ts';

/** Input of `restoreToPoint`, id `restore/{cluster}/{requestId}`. */
export interface RestoreToPointInput {
  readonly cluster: string;
  /** `latest`, RFC 3339 with zone, `before:GTID`, `after:GTID` or `file:[uuid/]binlog:position`. */
  readonly target: string;
  /** Absolute path on the restoring host; must not exist or be empty. */
  readonly targetDir: string;
  /** Read from this store only; null: the first that can be read. */
  readonly store: string | null;
  /** null: the newest. */
  readonly timeline: number | null;
  /** GTID set left out of the replay; empty for none. */
  readonly skipGtids: string;
  readonly keepRunning: boolean;
  readonly requestId: string;
  /** null: the region of the workflow's own task queue. */
  readonly restoreRegion: string | null;
}

export const RESTORE_TO_POINT: Contract<RestoreToPointInput> = {
  name: 'restoreToPoint input',
  schema: z.strictObject({
    cluster: clusterName,
    target: z.string().min(1, 'is empty').max(400, 'is longer than 400 characters'),
    targetDir: z.string().regex(/^\/[^\0]*[^\0/.]/, 'is not the absolute path of a folder'),
    store: z.string().min(1, 'is empty').nullable().default(null),
    timeline: z.number().int().positive().nullable().default(null),
    skipGtids: z.string().default(''),
    keepRunning: z.boolean().default(false),
    requestId: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'is not a request id'),
    restoreRegion: z.string().min(1).nullable().default(null),
  }),
  example:
    '{"cluster":"shop","target":"2026-11-20T10:32:05.123456Z","targetDir":"/srv/restored","requestId":"r-1"}',
};

/** Answer of the query `progress` of `restoreToPoint`. */
export interface RestoreToPointProgress {
  readonly request: RestoreToPointInput;
  readonly step:
    | 'waiting-for-host'
    | 'plan'
    | 'fetch'
    | 'replay'
    | 'verify'
    | 'hand-over'
    | 'done'
    | 'giving-up';
  /** Name of the machine that restores; null while none has taken it. */
  readonly host: string | null;
  /** Known once it is planned. */
  readonly plan: {
    readonly backupId: string;
    readonly transactions: number;
    readonly segments: number;
    readonly storedBytes: number;
    readonly estimatedSeconds: number;
  } | null;
  /** RFC 3339. */
  readonly startedAt: string;
}
