import { condition, log, sleep } from '@temporalio/workflow';
import { fromFailure } from '../activities/failures.ts';
import type { StoreFailure } from '../src/archiving/discovery.ts';
import { AppError } from '../src/domain/errors.ts';
import { fullJitterMs } from '../src/domain/routing/backoff.ts';
import {
  admit,
  type CircuitEvent,
  failuresSoFar,
  STORE_TRY,
  stepCircuit,
} from '../src/domain/routing/circuit.ts';
import { isStoreFailure, storeFailureKind, storeRemedy } from '../src/domain/routing/store-failures.ts';
import { storeTries } from './archive-activities.ts';
import { type ArchiveEntity, failureOf } from './archive-entity.ts';
import { circuitOf, countingStores, recordOf, update } from './archive-records.ts';
import { nowText } from './now.ts';

/**
 * Does work on a store and tries it again with growing pauses, until it succeeds or the store's circuit
 * opens. After a failure the store is asked for something small first, before much is sent again.
 * The work is told how many tries have failed before.
 *
 * @throws why its circuit is open, where it is; what the work throws for reasons of its own
 */
export async function onStore<T>(
  entity: ArchiveEntity,
  host: string,
  store: string,
  work: (earlierTries: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    if (circuitOf(entity, store).kind !== 'closed') throw heldBack(entity, store);
    try {
      if (attempt > 0) await storeTries(host).reachStore({ ...entity.input, store, earlierTries: attempt });
      const done = await work(attempt);
      step(entity, store, { kind: 'succeeded', work: 'transfer', atMs: Date.now() });
      return done;
    } catch (error) {
      const failure = storeFailureOf(error);
      if (failure === null) throw error;
      noteStoreFailure(entity, store, failure);
    }
    if (circuitOf(entity, store).kind === 'closed') {
      await sleep(Math.max(1, fullJitterMs(STORE_TRY.retry, attempt, Math.random())));
    }
  }
}

/** Tries a store whose circuit is open, with growing pauses or when someone asks, until it answers. */
export async function probeUntilBack(entity: ArchiveEntity, host: string, store: string): Promise<void> {
  for (;;) {
    const admission = admit(circuitOf(entity, store), Date.now());
    if (admission.kind === 'pass') {
      entity.probesAsked.delete(store);
      return;
    }
    if (admission.kind === 'hold') {
      const isAsked = () => entity.probesAsked.has(store);
      if (await condition(isAsked, Math.max(1, admission.untilMs - Date.now()))) {
        step(entity, store, { kind: 'probe-asked', atMs: Date.now() });
      }
      continue;
    }
    // Whoever asks from here on wants another one: this one may have found out before.
    entity.probesAsked.delete(store);
    step(entity, store, { kind: 'probe-started', atMs: Date.now() });
    try {
      const earlierTries = failuresSoFar(circuitOf(entity, store));
      await storeTries(host).reachStore({ ...entity.input, store, earlierTries });
    } catch (error) {
      const failure = storeFailureOf(error);
      // Anything else is an answer: the next look says what is wrong there.
      if (failure === null && fromFailure(error) === undefined) throw error;
      if (failure !== null) {
        step(entity, store, failedWith(failure, 'probe'));
        continue;
      }
    }
    step(entity, store, { kind: 'succeeded', work: 'probe', atMs: Date.now() });
    log.info('store is back', { store });
  }
}

/** Notes why a store could not be used: counted where it has failed itself, and told of where it says something else. */
export function noteFailure(entity: ArchiveEntity, store: string, failure: StoreFailure): void {
  const error = new AppError(failure);
  if (isStoreFailure(failure.code)) noteStoreFailure(entity, store, error);
  else update(entity, store, { failure: failureOf(error, nowText()) });
}

/** Counts a failure of a store; the round that looks next is woken where a store that counts is given up. */
export function noteStoreFailure(entity: ArchiveEntity, store: string, failure: AppError): void {
  const before = circuitOf(entity, store).kind;
  step(entity, store, failedWith(failure, 'transfer'));
  if (before !== 'closed' || circuitOf(entity, store).kind === 'closed') return;
  log.warn('store is given up for now', { store, code: failure.code, reason: failure.message });
  if (countingStores(entity).some((record) => record.store === store)) entity.wake = true;
}

/** The failure of a store in what a step threw; null where something else went wrong. */
function storeFailureOf(error: unknown): AppError | null {
  const found = fromFailure(error);
  return found !== undefined && isStoreFailure(found.code) ? found : null;
}

/** Why a store gets nothing now. */
export function heldBack(entity: ArchiveEntity, store: string): AppError {
  const circuit = recordOf(entity, store)?.circuit;
  const cause = circuit === undefined || circuit.kind === 'closed' ? null : circuit.cause;
  return new AppError({
    code: cause?.code ?? 'StoreHeldBack',
    kind: storeFailureKind(cause?.code ?? ''),
    message: `Store ${store} has failed several times in a row and is only tried now and then: ${cause?.message ?? 'it is being tried'}`,
    hint: `${storeRemedy(cause?.code ?? '')} What is closed meanwhile is staged, and goes there by itself.`,
    facts: { store },
  });
}

function failedWith(failure: AppError, work: 'transfer' | 'probe'): CircuitEvent {
  const { code, message } = failure;
  return { kind: 'failed', work, atMs: Date.now(), cause: { code, message }, chance: Math.random() };
}

function step(entity: ArchiveEntity, store: string, event: CircuitEvent): void {
  update(entity, store, { circuit: stepCircuit(circuitOf(entity, store), event) });
}
