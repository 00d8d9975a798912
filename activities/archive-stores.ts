import { auditHandoff } from '../src/archiving/audit-archive.ts';
import { bringBoundaries } from '../src/archiving/bring-boundaries.ts';
import type { StoreFailure } from '../src/archiving/discovery.ts';
import { reachStore } from '../src/archiving/reach-store.ts';
import { failureOf } from '../src/archiving/read-stores.ts';
import { repositoryIn, signAs, wallClock } from '../src/archiving/repositories.ts';
import type { ArchiveResources, ArchiveSourceContext } from '../src/archiving/resources.ts';
import { type StoreSwitched, type SwitchProof, switchStore } from '../src/archiving/switch-store.ts';
import type { AppendBy } from '../src/catalog/catalog.ts';
import { pickCluster } from '../src/config/pick.ts';
import { AppError } from '../src/domain/errors.ts';
import type { StoreBoundary } from '../src/domain/routing/store-boundaries.ts';
import { isStoreFailure } from '../src/domain/routing/store-failures.ts';
import {
  type SwitchToValidate,
  type SwitchValidation,
  validateSwitch,
} from '../src/handoff/validate-switch.ts';
import { syncStores } from '../src/syncing/sync-stores.ts';
import { type Beat, withHeartbeat } from './heartbeat.ts';
import { onSource, type SourceName } from './on-source.ts';

/** Work on one store, which the workflow tries again and not Temporal. */
export interface StoreTry {
  /** How many tries have failed before. */
  readonly earlierTries: number;
}

export interface StoreInput extends SourceName, StoreTry {
  readonly store: string;
}

export interface FillInput extends SourceName, StoreTry {
  /** The store that has it. */
  readonly from: string;
  /** The store that lacks it. */
  readonly to: string;
}

/** What was copied from store to store. */
export interface Filled {
  readonly objects: number;
  readonly bytes: number;
  readonly entries: number;
  /** Binlogs among the objects, and the last commits of the newest of them; null for one without a transaction. */
  readonly logs: number;
  readonly lastCommits: readonly (string | null)[];
  /** How many entries could not be copied. */
  readonly obstacles: number;
}

/** What became of a fill; `holder-failed`: the store that has it failed, not the one that lacks it. */
export type FillOutcome =
  | ({ readonly kind: 'filled' } & Filled)
  | { readonly kind: 'holder-failed'; readonly failure: StoreFailure };

export interface SwitchInput extends SourceName {
  readonly boundary: StoreBoundary;
  readonly proof: SwitchProof;
  /** Earlier ones, which a store may lack. */
  readonly boundaries: readonly StoreBoundary[];
  readonly acknowledgedGtids: string;
  readonly reachable: readonly string[];
  /** When it became known that the stores should be switched; milliseconds since 1970. */
  readonly detectedAtMs: number;
}

export interface BoundariesInput extends SourceName {
  readonly store: string;
  /** In the order of their epochs. */
  readonly boundaries: readonly StoreBoundary[];
}

export interface AuditSwitchInput extends SourceName {
  readonly boundary: StoreBoundary;
}

/** Objects that travel at once from store to store: nobody waits for them, and each takes memory. */
const PARALLEL_COPIES = 2;

/** Short activities on single stores, on the host of a source. */
export function archiveStoreCareActivities(resources: ArchiveResources) {
  const on = onSource(resources);
  return {
    /** Proves that a store can be used: it is there, with the archive in it, and takes what is created. */
    reachStore: (input: StoreInput): Promise<void> =>
      on(input, ({ repositories }) => reachStore(repositoryIn(repositories, input.store))),

    /** Makes one store count for another, as an entry of the catalogs. */
    switchStore: (input: SwitchInput): Promise<StoreSwitched> =>
      on(input, async ({ repositories }) => {
        const { source, boundary, proof, boundaries, acknowledgedGtids, reachable } = input;
        const sign = signFor(source);
        return switchStore({ repositories, boundary, proof, boundaries, acknowledgedGtids, reachable, sign });
      }),

    /** Writes into one store the handoffs between stores that were made while it was away. */
    bringBoundaries: ({ store, boundaries, ...input }: BoundariesInput): Promise<void> =>
      on(input, async ({ repositories }) => {
        const { catalog } = repositoryIn(repositories, store);
        await catalog.read();
        await bringBoundaries(catalog, boundaries, signFor(input.source));
      }),

    /** Proves that a switch of stores holds, and writes the result into the catalogs. */
    validateSwitch: (input: SwitchToValidate & SourceName): Promise<SwitchValidation> =>
      on(input, (context) => validateSwitch(context, input)),

    /** Writes into this machine's audit log that a store counts for another. */
    auditSwitch: ({ cluster, boundary }: AuditSwitchInput): Promise<void> =>
      withHeartbeat(async () => {
        const { from, to, epoch, detail } = boundary;
        const ended = { outcome: 'switched', subject: 'store', missingGtids: '' } as const;
        await auditHandoff(pickCluster(resources.config, cluster), { ...ended, from, to, epoch, detail });
      }),
  };
}

function signFor(source: string): (epoch: number) => AppendBy {
  return (epoch) => signAs({ role: 'host', source, epoch }, wallClock)();
}

/** Copies between stores, on the queue for transfers. */
export function archiveFillActivities(resources: ArchiveResources) {
  const on = onSource(resources);
  return {
    /** Copies to one store what it lacks of another, each object read back. */
    fillStore: (input: FillInput): Promise<FillOutcome> =>
      on(input, async (context, beat) => {
        try {
          return { kind: 'filled', ...(await fill(context, input, beat)) };
        } catch (error) {
          const { location } = repositoryIn(context.repositories, input.from).store;
          if (!(error instanceof AppError) || !isStoreFailure(error.code)) throw error;
          if (error.facts['location'] !== location) throw error;
          return { kind: 'holder-failed', failure: failureOf(error) };
        }
      }),
  };
}

async function fill(
  { repositories }: ArchiveSourceContext,
  { from, to, source }: FillInput,
  beat: Beat,
): Promise<Filled> {
  let totalBytes = 0;
  const { objects, bytes, entries, logs, lastCommits, obstacles } = await syncStores({
    from: repositoryIn(repositories, from),
    to: repositoryIn(repositories, to),
    key: repositories.key,
    sign: signFor(source),
    parallel: PARALLEL_COPIES,
    signal: beat.signal,
    onPlanned: (plan) => {
      totalBytes = plan.bytes;
    },
    onProgress: (doneBytes) => beat.report({ doneBytes, totalBytes }),
  });
  return { objects, bytes, entries, logs, lastCommits, obstacles: obstacles.length };
}
