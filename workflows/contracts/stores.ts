/** What `archiveSource` remembers of each store. */
import { z } from 'zod';
import type { OutOfReach } from '../../src/archiving/discovery.ts';
import type { Circuit } from '../../src/domain/routing/circuit.ts';
import type { StoreBoundary } from '../../src/domain/routing/store-boundaries.ts';
import type { StandIn } from '../../src/domain/routing/store-handoff.ts';
import type { StorePolicy } from '../../src/domain/routing/store-policy.ts';
import { type RoundFailure, roundFailure } from './failure.ts';

/** One store, as it was seen last. Times are milliseconds since 1970. */
export interface StoreRecord {
  readonly store: string;
  /** As configured; a stand-in changes how it counts. */
  readonly policy: StorePolicy;
  readonly circuit: Circuit;
  /** All GTIDs that it holds, canonical; null while it was never read. */
  readonly coveredGtids: string | null;
  /** What operators gave up in it, canonical. */
  readonly givenUpGtids: string;
  /** Of its catalog; null while it was never read. */
  readonly epoch: number | null;
  /** Closed logs of this source that it lacks. */
  readonly backlog: { readonly logs: number; readonly bytes: number };
  /** The last log of this source in it. */
  readonly through: { readonly binlog: string; readonly lastCommit: string | null } | null;
  /** Why it gets nothing although it is reached; null where it does. */
  readonly failure: RoundFailure | null;
  /** Logs that it never gets, though another store has them; null where there are none. */
  readonly outOfReach: OutOfReach | null;
  /** Nothing is begun for it before, because the last try failed. */
  readonly restUntilMs: number;
  /** It is not filled from another store before, because the last fill found nothing to copy. */
  readonly nextFillMs: number;
}

const circuit: z.ZodType<Circuit> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('closed'), failuresInRow: z.number() }),
  z.strictObject({
    kind: z.literal('open'),
    openedAtMs: z.number(),
    failedProbes: z.number(),
    probeAtMs: z.number(),
    cause: z.strictObject({ code: z.string(), message: z.string() }),
  }),
  z.strictObject({
    kind: z.literal('half-open'),
    openedAtMs: z.number(),
    failedProbes: z.number(),
    probeStartedAtMs: z.number(),
    cause: z.strictObject({ code: z.string(), message: z.string() }),
  }),
]);

export const storeRecord: z.ZodType<StoreRecord> = z.strictObject({
  store: z.string(),
  policy: z.enum(['required', 'catch-up']),
  circuit,
  coveredGtids: z.string().nullable(),
  // A run of an earlier version hands over none of what has a default.
  givenUpGtids: z.string().default(''),
  epoch: z.number().nullable().default(null),
  backlog: z.strictObject({ logs: z.number(), bytes: z.number() }),
  through: z.strictObject({ binlog: z.string(), lastCommit: z.string().nullable() }).nullable(),
  failure: roundFailure.nullable(),
  outOfReach: z
    .strictObject({
      heldBy: z.string(),
      logs: z.number(),
      transactions: z.number(),
      reason: z.enum(['too-late', 'fenced']),
      name: z.string(),
    })
    .nullable()
    .default(null),
  restUntilMs: z.number(),
  nextFillMs: z.number().default(0),
});

export const standIn: z.ZodType<StandIn> = z.strictObject({ from: z.string(), to: z.string() });

export const storeBoundary: z.ZodType<StoreBoundary> = z.strictObject({
  from: z.string(),
  to: z.string(),
  epoch: z.number(),
  reason: z.enum(['circuit-open', 'switch-back']),
  detail: z.string(),
});

/** A switch of stores of which it is not recorded yet what became of it. */
export interface UnvalidatedSwitch {
  readonly boundary: StoreBoundary;
  /** All that had been called archived before it, canonical. */
  readonly acknowledgedGtids: string;
  /** How many logs had been counted by then. */
  readonly segmentsArchived: number;
}

export const unvalidatedSwitch: z.ZodType<UnvalidatedSwitch> = z.strictObject({
  boundary: storeBoundary,
  acknowledgedGtids: z.string(),
  segmentsArchived: z.number(),
});
