/** What crosses the border of `watchCluster`. */
import { z } from 'zod';
import type { Watched } from '../../src/domain/routing/watch.ts';
import { type Contract, clusterName } from './contract.ts';

/** Input of `watchCluster`, id `watch/{cluster}`. */
export interface WatchClusterInput {
  readonly cluster: string;
}

export const WATCH_CLUSTER: Contract<WatchClusterInput> = {
  name: 'watchCluster input',
  schema: z.strictObject({ cluster: clusterName }),
  example: '{"cluster":"shop"}',
};

/** A handoff that the watch started, or could not. */
export interface WatchedHandoff {
  readonly to: string;
  /** As `HandoffResult.outcome`; `failed` where the handoff was refused or could not be made. */
  readonly outcome: string;
  readonly epoch: number | null;
  readonly detail: string;
  /** RFC 3339. */
  readonly at: string;
}

/** What one run of the watch hands to the next. */
export interface WatchCarry {
  readonly known: Watched;
  readonly lastHandoffs: readonly WatchedHandoff[];
}

const watched: z.ZodType<Watched> = z.strictObject({
  serverUuid: z.string().nullable(),
  failingSinceMs: z.number().nullable(),
  stuck: z.strictObject({ log: z.string(), seenAtMs: z.number(), blamedMs: z.number() }).nullable(),
  lagHandoffsMs: z.array(z.number()),
});

export const WATCH_CARRY: Contract<WatchCarry> = {
  name: 'watchCluster state',
  schema: z.strictObject({
    known: watched,
    lastHandoffs: z.array(
      z.strictObject({
        to: z.string(),
        outcome: z.string(),
        epoch: z.number().nullable(),
        detail: z.string(),
        at: z.string(),
      }),
    ),
  }),
  example: 'nothing: leave the second argument out, it is for continue-as-new',
};

/** Answer of the query `watching`. */
export interface WatchStatus extends WatchCarry {
  readonly cluster: string;
  /** The source that holds the archive; null until the catalogs were read. */
  readonly source: string | null;
  readonly phase: 'starting' | 'watching' | 'handing-over' | 'waiting';
  /** Why the watch itself cannot see; null where it does. */
  readonly trouble: string | null;
}
