import type { Repository } from '../archiving/repositories.ts';
import type { AppendBy, Judge } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { viewOf } from '../catalog/view.ts';
import { AppError } from '../domain/errors.ts';
import { type CatalogComparison, compareCatalogs } from '../domain/routing/compare.ts';
import { planSync, type SyncObstacle, type SyncPlan, type SyncStep } from '../domain/routing/sync-plan.ts';
import type { StoredObject } from '../domain/segment.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import { faultPoint } from '../process/fault.ts';
import { probeStore } from '../storage/probe.ts';
import { readSealed } from '../storage/read-back.ts';
import { copyConflict, copyObject } from './copy-object.ts';
import { inOrder } from './in-order.ts';
import { isSealed, sealedFacts } from './sealed-body.ts';

export interface SyncOptions {
  readonly from: Repository;
  readonly to: Repository;
  /** Opens only what stands in the way of a copy, sealed another time. */
  readonly key: EnvelopeKey;
  /** Signs an entry of an epoch, at the present time. */
  readonly sign: (epoch: number) => AppendBy;
  /** How many objects travel at once. */
  readonly parallel: number;
  readonly signal: AbortSignal;
  /** Called with each plan: the first, and again after another writer wrote to `to` meanwhile. */
  readonly onPlanned: (plan: SyncPlan) => void;
  /** Called with the stored bytes that `to` has acknowledged since the plan, of all objects. */
  readonly onProgress: (doneBytes: number) => void;
}

export interface SyncResult {
  readonly objects: number;
  readonly bytes: number;
  readonly entries: number;
  /** Binlogs that were copied, and the last commits of the newest of them; null for one without a transaction. */
  readonly logs: number;
  readonly lastCommits: readonly (string | null)[];
  /** What could not be copied. */
  readonly obstacles: readonly SyncObstacle[];
  /** The catalogs of `from` as it was planned with, and of `to` at the end. */
  readonly comparison: CatalogComparison;
}

/** What a run has copied so far, over all its plans. */
interface Copied {
  objects: number;
  bytes: number;
  entries: number;
  logs: number;
  lastCommits: readonly (string | null)[];
}

/** So many last commits are told: results stay small. */
const MAX_TOLD = 200;

/** How often a sync is planned anew because somebody else wrote to the store. */
const MAX_PLANS = 50;

/**
 * Copies from one store to another what that lacks: each object byte for byte and read back, then the
 * entry that names it, in the order of the first store. The other store's catalog stays its own chain.
 * A repository is made there under the same id where there is none. May be run again: what was copied
 * is found. A crash leaves objects that no entry names yet, which the next run finds.
 * @throws refused `RepositoryMissing`, `NoPreconditions`; corrupt, conflict, unavailable
 */
export async function syncStores(options: SyncOptions): Promise<SyncResult> {
  const { from, to } = options;
  await openTarget(options, await from.catalog.read());
  const copied: Copied = { objects: 0, bytes: 0, entries: 0, logs: 0, lastCommits: [] };
  for (let plans = 0; plans < MAX_PLANS; plans += 1) {
    const [source, target] = await Promise.all([from.catalog.read(), to.catalog.read()]);
    const view = viewOf(from.store.id, source);
    const plan = planSync(view, viewOf(to.store.id, target));
    options.onPlanned(plan);
    if (!(await carryOut(options, plan.steps, target, copied))) continue;
    const comparison = compareCatalogs(view, viewOf(to.store.id, await to.catalog.read()));
    return { ...copied, obstacles: plan.obstacles, comparison };
  }
  throw new AppError({
    code: 'SyncContended',
    kind: 'unavailable',
    message: `${to.store.location} was written to ${MAX_PLANS} times while it was brought up to date, so it was not finished.`,
    hint: 'Run it again: what was copied is not copied twice.',
    facts: { store: to.store.id },
  });
}

/** The repository of `to`, made where there is none: under the same id, or the same bytes could not be opened there. */
async function openTarget({ to, sign, signal }: SyncOptions, source: CatalogState): Promise<void> {
  if ((await to.catalog.readIfAny()) !== undefined) return;
  await probeStore(to.store, { signal });
  const first = source.epoch - source.handoffs().length;
  await to.catalog.init(source.cluster, sign(first), source.repositoryId);
}

/** Does the steps of a plan; false where another writer came between, so that it must be planned anew. */
async function carryOut(
  options: SyncOptions,
  steps: readonly SyncStep[],
  planned: CatalogState,
  copied: Copied,
): Promise<boolean> {
  const { to, parallel, signal, sign } = options;
  const progress = new CopyProgress(options.onProgress);
  let { sequence } = planned.head;
  let { epoch } = planned;
  const copies = inOrder(steps, parallel, signal, (step, stop) => copyStep(options, step, stop, progress));
  for await (const { item: step, result: object } of copies) {
    const body = object === null || !isSealed(step.body) ? step.body : { ...step.body, object };
    if (body.kind === 'handoff') epoch = step.epoch;
    try {
      await to.catalog.append(body, sign(epoch), onlyBehind(sequence));
    } catch (error) {
      if (error instanceof MovedOn) return false;
      throw error;
    }
    faultPoint('sync.committed');
    sequence += 1;
    copied.entries += 1;
    if (body.kind === 'segment-archived') {
      copied.logs += 1;
      copied.lastCommits = [...copied.lastCommits, body.segment.lastCommit].slice(-MAX_TOLD);
    }
    if (object === null) continue;
    copied.objects += 1;
    copied.bytes += object.lengthBytes;
  }
  return true;
}

/** Thrown by the judge of an append, and caught where the append was asked for. */
class MovedOn extends Error {}

/** A plan holds for the catalog that it was made for: behind an entry of another writer it is made anew. */
function onlyBehind(sequence: number): Judge {
  return (state) => {
    if (state.head.sequence !== sequence) throw new MovedOn();
    return { decision: 'append' };
  };
}

async function copyStep(
  { from, to, key }: SyncOptions,
  { body }: SyncStep,
  signal: AbortSignal,
  progress: CopyProgress,
): Promise<StoredObject | null> {
  const { repositoryId } = from.catalog.known ?? (await from.catalog.read());
  if (!isSealed(body)) return null;
  const { object, context, expect } = sealedFacts(body, repositoryId);
  const copy = await copyObject({
    from: from.store,
    to: to.store,
    object,
    signal,
    onProgress: (doneBytes) => progress.of(object.key, doneBytes),
    async adopt() {
      try {
        return await readSealed(to.store, object.key, key, context, expect, { signal });
      } catch (error) {
        if (!(error instanceof AppError) || error.kind === 'unavailable') throw error;
        throw copyConflict(to.store, object, error);
      }
    },
  });
  progress.of(object.key, object.lengthBytes);
  return copy;
}

/** Adds up what objects that travel at once have come to. */
class CopyProgress {
  readonly #byKey = new Map<string, number>();
  readonly #report: (doneBytes: number) => void;
  #doneBytes = 0;

  constructor(report: (doneBytes: number) => void) {
    this.#report = report;
  }

  of(key: string, doneBytes: number): void {
    this.#doneBytes += doneBytes - (this.#byKey.get(key) ?? 0);
    this.#byKey.set(key, doneBytes);
    this.#report(this.#doneBytes);
  }
}
