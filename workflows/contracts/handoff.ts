/** What crosses the border of `fallbackHandoff`. */
import { z } from 'zod';
import type { HandoffReason } from '../../src/domain/catalog-entry.ts';
import type { ContinuityPolicy } from '../../src/domain/routing/handoff-facts.ts';
import type { Detection } from '../../src/domain/routing/handoff-plan.ts';
import type { HandoffRefusal } from '../../src/domain/routing/handoff-words.ts';
import { type Contract, clusterName, sourceId } from './contract.ts';

/** Input of `fallbackHandoff`, id `handoff/{cluster}/{epoch}` with the epoch that it raises. */
export interface FallbackHandoffInput {
  readonly cluster: string;
  /** The source that goes on with the archive. */
  readonly to: string;
  /** The source that is archived now; null: the one that the catalogs name. */
  readonly from: string | null;
  /** What is done where the new source is no continuation of the archive; null: as pitrail.yaml says. */
  readonly policy: ContinuityPolicy | null;
  /** `dry-run`: decides, and changes nothing. */
  readonly mode: 'hand-over' | 'dry-run';
  /** `watch`: only where something is wrong with the current source, and was since that time (RFC 3339). */
  readonly trigger:
    | { readonly kind: 'operator' }
    | { readonly kind: 'watch'; readonly finding: 'unreachable' | 'lag'; readonly failingSince: string };
  /** How long it may wait for transactions that the new source is about to have. */
  readonly waitSeconds: number;
  /** How long continuity and lag may take to be proven behind the boundary. */
  readonly validateSeconds: number;
}

const seconds = z.number().int().min(0).max(86_400);

export const FALLBACK_HANDOFF: Contract<FallbackHandoffInput> = {
  name: 'fallbackHandoff input',
  schema: z.strictObject({
    cluster: clusterName,
    to: sourceId,
    from: sourceId.nullable().default(null),
    policy: z.enum(['refuse', 'resync']).nullable().default(null),
    mode: z.enum(['hand-over', 'dry-run']).default('hand-over'),
    trigger: z
      .discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('operator') }),
        z.strictObject({
          kind: z.literal('watch'),
          finding: z.enum(['unreachable', 'lag']),
          failingSince: z.iso.datetime({ offset: true }),
        }),
      ])
      .default({ kind: 'operator' }),
    waitSeconds: seconds.default(60),
    validateSeconds: seconds.default(600),
  }),
  example: '{"cluster":"shop","to":"shop-2"}',
};

/** The steps of a handoff, in order. */
export const HANDOFF_STEPS = [
  'detect',
  'pre-flight',
  'decide',
  'lock',
  'switch',
  'validate',
  'done',
] as const;

export type HandoffStep = (typeof HANDOFF_STEPS)[number];

/** Answer of the query `progress` of `fallbackHandoff`. */
export interface HandoffProgress {
  readonly request: FallbackHandoffInput;
  readonly step: HandoffStep;
  /** The source that hands over; null until it is known. */
  readonly from: string | null;
  /** The epoch that it raises; null until it is decided. */
  readonly epoch: number | null;
  /** What it waits for, in a sentence; null where it waits for nothing. */
  readonly waitsFor: string | null;
  readonly startedAt: string;
}

/** What a candidate's snapshot and the catalogs are to each other: exact GTID sets on one line. */
export interface HandoffReconciliation {
  readonly intersectionTransactions: number;
  /** What the candidate is to bring. */
  readonly pendingGtids: string;
  readonly nextExpected: readonly string[];
  readonly gapGtids: string;
  readonly lackingGtids: string;
  readonly errantGtids: string;
}

/** Whether a handoff holds, when it was looked at last. */
export interface HandoffValidation {
  /** `settling`: nothing is wrong, and not everything is archived yet. */
  readonly verdict: 'validated' | 'settling' | 'failed';
  readonly lagSeconds: number | null;
  readonly lagTransactions: number;
  readonly detail: string;
}

/** Result of `fallbackHandoff`. A handoff that is refused fails the workflow, but for a dry run. */
export interface HandoffResult {
  readonly cluster: string;
  readonly from: string;
  readonly to: string;
  /** `planned`, `waits`, `refused`: of a dry run. `stayed`: nothing is wrong with the current source. */
  readonly outcome: 'handed-over' | 'already-done' | 'stayed' | 'planned' | 'waits' | 'refused';
  readonly detected: readonly Detection[];
  readonly reconciliation: HandoffReconciliation | null;
  readonly refusals: readonly HandoffRefusal[];
  /** The epoch that the handoff raises or has raised; null where there is none. */
  readonly epoch: number | null;
  readonly reason: HandoffReason | null;
  /** `resync`: the new source began a timeline of its own, behind a base backup. */
  readonly continuity: 'continues' | 'resync' | null;
  readonly stores: {
    readonly written: readonly string[];
    readonly stoodIn: readonly string[];
    /** Stores that are away or behind: they get the boundary by `sync`. */
    readonly later: readonly string[];
  };
  /** Id of the base backup of a resync. */
  readonly backupId: string | null;
  /** Why a resync has no base backup, so that nothing behind it can be restored yet; null where it has, or needs none. */
  readonly baseMissing: string | null;
  readonly validation: HandoffValidation | null;
  /** One sentence for people. */
  readonly detail: string;
  /** RFC 3339: begun, boundary written, ended. */
  readonly startedAt: string;
  readonly fencedAt: string | null;
  readonly finishedAt: string;
}
