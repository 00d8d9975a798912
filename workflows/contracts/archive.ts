/** What crosses the border of `archiveSource`. */
import { z } from 'zod';
import { type ErrorKind, EXIT_CODES } from '../../src/domain/errors.ts';
import type { Claim } from '../../src/domain/routing/hold.ts';
import type { RetentionAlarm } from '../../src/domain/routing/retention-alarm.ts';
import type { StoreBoundary } from '../../src/domain/routing/store-boundaries.ts';
import type { StandIn, StoreHandoffStep } from '../../src/domain/routing/store-handoff.ts';
import { type Contract, clusterName, sourceId } from './contract.ts';
import { type RoundFailure, roundFailure } from './failure.ts';
import {
  type StoreRecord,
  standIn,
  storeBoundary,
  storeRecord,
  type UnvalidatedSwitch,
  unvalidatedSwitch,
} from './stores.ts';

const reasonText = z.string().min(1, 'must say why').max(500, 'is longer than 500 characters');

/** Input of `archiveSource`, id `archive/{cluster}/{source}`. */
export interface ArchiveSourceInput {
  readonly cluster: string;
  readonly source: string;
}

export const ARCHIVE_SOURCE: Contract<ArchiveSourceInput> = {
  name: 'archiveSource input',
  schema: z.strictObject({ cluster: clusterName, source: sourceId }),
  example: '{"cluster":"shop","source":"shop-1"}',
};

/** A binlog that cannot be archived as it is; its timeline waits until an operator decides. */
export interface DeadLetter {
  readonly serverUuid: string;
  readonly binlog: string;
  /** Header time of the file's FORMAT_DESCRIPTION, RFC 3339. */
  readonly createdAt: string;
  readonly lengthBytes: number;
  /** Stable code of the problem: `ArchiveGap`, `EventChecksumMismatch` and the like. */
  readonly code: string;
  readonly kind: ErrorKind;
  readonly message: string;
  readonly hint: string;
  /**
   * `plan`: seen again at every look, gone when its cause is; `fence`: judged anew in every round;
   * `transfer`: waits for an operator's word.
   */
  readonly foundBy: 'plan' | 'fence' | 'transfer';
  /** RFC 3339. */
  readonly at: string;
  /** Ids of stores whose catalogs do not say yet that it was refused: told once they can take an entry. */
  readonly unwritten: readonly string[];
}

/** A log that an operator gave up: it is not tried again. */
export interface GivenUp {
  readonly serverUuid: string;
  readonly binlog: string;
  readonly createdAt: string;
  readonly lengthBytes: number;
}

/** How far the archive reaches. */
export interface ArchivedThrough {
  readonly serverUuid: string;
  readonly binlog: string;
  readonly timeline: number;
  readonly lastCommit: string | null;
}

/** In which epoch the source is written; claimed by the first round, and kept until a handoff ends it. */
export type WriterHold = Claim | { readonly kind: 'unclaimed' };

/** Where a store's catalog stood when this workflow last saw it; a shorter or other chain later is a rollback. */
export interface StoreHead {
  readonly store: string;
  readonly sequence: number;
  readonly sha256: string;
}

const writerHold: z.ZodType<WriterHold> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('unclaimed') }),
  z.strictObject({ kind: z.literal('held'), epoch: z.number() }),
  z.strictObject({ kind: z.literal('handed-away'), to: z.string(), epoch: z.number() }),
  z.strictObject({ kind: z.literal('in-reserve') }),
]);

const errorKind = z.enum(Object.keys(EXIT_CODES) as [ErrorKind, ...ErrorKind[]]);

const deadLetter: z.ZodType<DeadLetter> = z.strictObject({
  serverUuid: z.string(),
  binlog: z.string(),
  createdAt: z.string(),
  lengthBytes: z.number(),
  code: z.string(),
  kind: errorKind,
  message: z.string(),
  hint: z.string(),
  foundBy: z.enum(['plan', 'fence', 'transfer']),
  at: z.string(),
  unwritten: z.array(z.string()).default([]),
});

/** What an operator decided about a dead letter; carried out at the start of the next round. */
export type Decision = DeadLetterDecision & {
  readonly kind: 'retry' | 'accept-gap';
  /**
   * The binlog that must be archived, or decided on, first: until then it is not known which
   * transactions are lost. Null where nothing holds the decision up.
   */
  readonly behind: string | null;
};

/** What one run of the entity hands to the next by continue-as-new. */
export interface ArchiveCarry {
  readonly mode: 'running' | 'paused';
  readonly hold: WriterHold;
  /** Stores that count and could not be asked when the epoch was taken: asked as soon as they answer. */
  readonly unasked: readonly string[];
  readonly archivedThrough: ArchivedThrough | null;
  readonly deadLetters: readonly DeadLetter[];
  readonly givenUp: readonly GivenUp[];
  /** Decisions that could not be carried out yet. */
  readonly decisions: readonly Decision[];
  readonly heads: readonly StoreHead[];
  readonly segmentsArchived: number;
  readonly lastSuccessAt: string | null;
  readonly lastFailure: RoundFailure | null;
  /** Why the open binlog could not be closed, at the last try. */
  readonly rotationFailure: RoundFailure | null;
  /** The stores in the order of the configuration. */
  readonly stores: readonly StoreRecord[];
  /** Stores that count in the place of others, by the handoffs that the catalogs name. */
  readonly standIns: readonly StandIn[];
  /** The handoffs between stores that a store may lack, oldest first, also one of which it is not known whether it was written. */
  readonly boundaries: readonly StoreBoundary[];
  /** All that this workflow may ever have called archived, canonical; null before its first look. */
  readonly acknowledgedGtids: string | null;
  /** Switches that the audit log does not tell of yet. */
  readonly unaudited: readonly StoreBoundary[];
  /** Why not, at the last try. */
  readonly auditFailure: RoundFailure | null;
  /** The last switch, until the first log behind it counts and the result is recorded. */
  readonly unvalidated: UnvalidatedSwitch | null;
  /** Someone sent `rotateNow`, and no round has done it yet. */
  readonly rotateAsked: boolean;
  /** The last signal that was refused because its payload was not understood. */
  readonly lastRefusedSignal: string | null;
}

export const ARCHIVE_CARRY: Contract<ArchiveCarry> = {
  name: 'archiveSource state',
  schema: z.strictObject({
    mode: z.enum(['running', 'paused']),
    hold: writerHold,
    unasked: z.array(z.string()).default([]),
    archivedThrough: z
      .strictObject({
        serverUuid: z.string(),
        binlog: z.string(),
        timeline: z.number(),
        lastCommit: z.string().nullable(),
      })
      .nullable(),
    deadLetters: z.array(deadLetter),
    givenUp: z.array(
      z.strictObject({
        serverUuid: z.string(),
        binlog: z.string(),
        createdAt: z.string(),
        lengthBytes: z.number(),
      }),
    ),
    decisions: z.array(
      z.strictObject({
        kind: z.enum(['retry', 'accept-gap']),
        binlog: z.string(),
        reason: z.string(),
        behind: z.string().nullable().default(null),
      }),
    ),
    heads: z.array(z.strictObject({ store: z.string(), sequence: z.number(), sha256: z.string() })),
    segmentsArchived: z.number(),
    lastSuccessAt: z.string().nullable(),
    lastFailure: roundFailure.nullable(),
    rotationFailure: roundFailure.nullable(),
    // A run of an earlier version hands over none of these.
    stores: z.array(storeRecord).default([]),
    standIns: z.array(standIn).default([]),
    boundaries: z.array(storeBoundary).default([]),
    acknowledgedGtids: z.string().nullable().default(null),
    unaudited: z.array(storeBoundary).default([]),
    auditFailure: roundFailure.nullable().default(null),
    unvalidated: unvalidatedSwitch.nullable().default(null),
    rotateAsked: z.boolean().default(false),
    lastRefusedSignal: z.string().nullable().default(null),
  }),
  example: 'nothing: leave the second argument out, it is for continue-as-new',
};

/** Answer of the query `status`. */
export interface ArchiveStatus extends ArchiveCarry {
  readonly cluster: string;
  readonly source: string;
  /** `standing-by`: another source holds the archive, as `lastFailure` says; asked again at each poll. */
  readonly phase:
    | 'starting'
    | 'discovering'
    | 'transferring'
    | 'waiting'
    | 'paused'
    | 'failing'
    | 'standing-by';
  /** Closed binlogs not yet in every store that counts. */
  readonly backlog: { readonly logs: number; readonly bytes: number };
  /** How long the server keeps what is not archived; null before the first look of a run. */
  readonly retention: RetentionAlarm | null;
  /** What is under way for each store: logs go to it, it is filled from another one, or tried now and then. */
  readonly lanes: readonly { readonly store: string; readonly work: 'transfer' | 'fill' | 'probe' }[];
  /** Required stores that are given up and for which no other one can count, with the reason of each. */
  readonly noStandIns: readonly UnmetStore[];
}

/** A required store that does not count, and why no store counts in its place. */
export type UnmetStore = Omit<Extract<StoreHandoffStep, { kind: 'no-stand-in' }>, 'kind'>;

/** Result of the update `archiveNow`: what became of the logs that were closed when it was asked. */
export interface ArchiveNowResult {
  readonly cluster: string;
  readonly source: string;
  /** `done`: of all of them. `goes-on`: this run of the workflow ended before, so ask the next one, at once. */
  readonly state: 'done' | 'goes-on';
  readonly archived: readonly string[];
  readonly archivedThrough: ArchivedThrough | null;
  readonly deadLetters: readonly DeadLetter[];
  readonly backlog: { readonly logs: number; readonly bytes: number };
}

/** Payload of the signals `retryRefused` and `acceptGap`. */
export interface DeadLetterDecision {
  /** The binlog of the dead letter that is decided: its name, or `SERVER_UUID/NAME` where several servers have one of that name. */
  readonly binlog: string;
  /** For the audit trail. */
  readonly reason: string;
}

export const DEAD_LETTER_DECISION: Contract<DeadLetterDecision> = {
  name: 'decision on a dead letter',
  schema: z.strictObject({
    binlog: z
      .string()
      .regex(/^(?:[0-9a-f-]{36}\/)?[A-Za-z0-9_.-]{1,200}\.[0-9]{6,10}$/, 'is not the name of a binlog'),
    reason: reasonText,
  }),
  example: '{"binlog":"binlog.000042","reason":"purged by hand, accepted by ops"}',
};
