import { isCancellation, log } from '@temporalio/workflow';
import type { ArchiveSettings } from '../activities/archive.ts';
import type { Discovery } from '../src/archiving/discovery.ts';
import type { SwitchProof } from '../src/archiving/switch-store.ts';
import { AppError } from '../src/domain/errors.ts';
import { mergeBoundaries, type StoreBoundary } from '../src/domain/routing/store-boundaries.ts';
import { isStoreFailure } from '../src/domain/routing/store-failures.ts';
import {
  planStoreHandoff,
  type StandIn,
  type StoreHandoffStep,
  standInsAfter,
} from '../src/domain/routing/store-handoff.ts';
import { storeTries } from './archive-activities.ts';
import { bringMissing } from './archive-boundaries.ts';
import { heldBack, noteStoreFailure } from './archive-circuits.ts';
import { type ArchiveEntity, failureOf } from './archive-entity.ts';
import { describeFailure } from './archive-failures.ts';
import { held } from './archive-hold.ts';
import {
  acknowledgedGtids,
  circuitOf,
  countingStores,
  looksOf,
  noteAcknowledged,
  recordOf,
  update,
} from './archive-records.ts';
import { tellArchived } from './archive-waiting.ts';
import { nowText } from './now.ts';

/** A switch that is to be made. */
interface PlannedSwitch extends Omit<StoreBoundary, 'epoch'> {
  readonly proof: SwitchProof;
}

/** What is to be done about each required store, as far as it is known now. */
export function planStores(
  entity: ArchiveEntity,
  comparisons: Discovery['comparisons'],
): readonly StoreHandoffStep[] {
  const acknowledged = acknowledgedGtids(entity);
  // With half the answer to who may write, a handoff could stand in the store that was not asked.
  const isAsked = entity.unasked.every((store) => recordOf(entity, store) === undefined);
  if (acknowledged === null || !isAsked) return [];
  const { stores, standIns } = entity;
  return planStoreHandoff({ stores, standIns, acknowledgedGtids: acknowledged, comparisons });
}

/**
 * Makes another store count for a required one that has failed, where it holds all that was called
 * archived; and makes that one count again once both hold the same, or its stand-in is lost and it
 * holds all that was called archived. Each is an entry of the catalogs.
 */
export async function switchStores(
  entity: ArchiveEntity,
  settings: ArchiveSettings,
  found: Pick<Discovery, 'comparisons' | 'stores'>,
): Promise<void> {
  noteAcknowledged(entity);
  entity.notSwitched = new Set();
  const steps = planStores(entity, found.comparisons);
  for (const step of steps) {
    const planned = switchOf(entity, step);
    if (planned !== null) await carryOut(entity, settings, planned);
  }
  noteUnmet(entity, steps);
  await bringMissing(entity, settings, found);
}

/** Shown in `status`; the log is told once. */
function noteUnmet(entity: ArchiveEntity, steps: readonly StoreHandoffStep[]): void {
  const before = JSON.stringify(entity.noStandIns);
  entity.noStandIns = steps.flatMap((step) =>
    step.kind === 'no-stand-in' ? [{ store: step.store, reasons: step.reasons }] : [],
  );
  if (entity.noStandIns.length === 0 || JSON.stringify(entity.noStandIns) === before) return;
  log.warn('no store can count for one that is given up', { noStandIns: entity.noStandIns });
}

/** The switch that a step asks for; null where it asks for none, or it has to wait. */
function switchOf(entity: ArchiveEntity, step: StoreHandoffStep): PlannedSwitch | null {
  switch (step.kind) {
    case 'stand-in':
      return standIn(entity, step);
    case 'switch-back':
      // What a lane writes while both are compared would be missed by the one that comes back.
      return entity.lanes.has(step.from) || entity.lanes.has(step.to) ? null : switchBack(step);
    case 'return':
      return takeBack(step);
    case 'stay':
    case 'drain':
    case 'no-stand-in':
      return null;
  }
}

function standIn(entity: ArchiveEntity, { from, to }: { from: string; to: string }): PlannedSwitch {
  const circuit = circuitOf(entity, from);
  const lost = entity.standIns.find((it) => it.from === from);
  const and = lost === undefined ? '' : `, and ${lost.to}, which counted in its place, is lost`;
  const cause = circuit.kind === 'closed' ? '' : `: ${circuit.cause.message}`;
  const detail = `${from} has failed several times in a row${and}${cause}`;
  return { from, to, reason: 'circuit-open', detail, proof: 'holds-all' };
}

function switchBack({ from, to }: { from: string; to: string }): PlannedSwitch {
  const detail = `${from} is back, and both catalogs were compared and found equal`;
  return { from: to, to: from, reason: 'switch-back', detail, proof: 'equal' };
}

function takeBack({ from, to, loss }: Extract<StoreHandoffStep, { kind: 'return' }>): PlannedSwitch {
  const why = loss === 'circuit-open' ? 'has failed several times in a row' : 'is not configured any more';
  const detail = `${to}, which counted in the place of ${from}, ${why}; ${from} is back and holds all that was called archived`;
  const proof = loss === 'circuit-open' ? 'holds-all' : 'holds-all-but-given-up';
  return { from: to, to: from, reason: 'switch-back', detail, proof };
}

async function carryOut(
  entity: ArchiveEntity,
  { host }: ArchiveSettings,
  { proof, ...route }: PlannedSwitch,
): Promise<void> {
  const boundary: StoreBoundary = { ...route, epoch: held(entity).epoch + 1 };
  entity.switching = 'under-way';
  try {
    if ((await attempt(entity, host, boundary, proof)) === 'made') adoptSwitch(entity, boundary);
    else entity.notSwitched = new Set([...entity.notSwitched, nameOf(route)]);
  } finally {
    entity.switching = 'no';
  }
}

/**
 * A switch of which nobody knows whether it was written is taken for made: its boundary goes into every
 * store, in these words, and what follows has a later epoch. Made otherwise, two stores could tell of
 * one epoch differently.
 */
async function attempt(
  entity: ArchiveEntity,
  host: string,
  boundary: StoreBoundary,
  proof: SwitchProof,
): Promise<'made' | 'not-made'> {
  const anchor = proof === 'equal' ? boundary.from : boundary.to;
  const circuit = circuitOf(entity, boundary.from);
  const reachable = looksOf(entity).flatMap(({ store, access }) => (access === 'open' ? [store] : []));
  try {
    const done = await storeTries(host).switchStore({
      ...entity.input,
      boundary,
      proof,
      boundaries: entity.boundaries,
      acknowledgedGtids: acknowledgedGtids(entity) ?? '',
      reachable,
      detectedAtMs: circuit.kind === 'closed' ? Date.now() : circuit.openedAtMs,
    });
    if (done.kind === 'switched') {
      const has = [anchor, ...reachable].filter((store) => !done.later.includes(store));
      for (const store of has) update(entity, store, { epoch: done.epoch });
      return 'made';
    }
    log.info('stores are not switched yet', { from: boundary.from, to: boundary.to, why: done.why });
    if (done.away !== null) noteFailure(entity, done.away.store, new AppError(done.away.failure));
    return 'not-made';
  } catch (error) {
    if (isCancellation(error)) throw error;
    const failure = describeFailure(error);
    if (failure.code === 'StaleEpoch') throw error;
    noteFailure(entity, anchor, failure);
    return failure.kind === 'unavailable' || failure.kind === 'bug' ? 'made' : 'not-made';
  }
}

function nameOf({ from, to }: StandIn): string {
  return `${from} ${to}`;
}

function noteFailure(entity: ArchiveEntity, store: string, failure: AppError): void {
  log.warn('stores could not be switched', { store, code: failure.code, reason: failure.message });
  if (isStoreFailure(failure.code)) noteStoreFailure(entity, store, failure);
  else update(entity, store, { failure: failureOf(failure, nowText()) });
}

function adoptSwitch(entity: ArchiveEntity, boundary: StoreBoundary): void {
  const { from, to, epoch } = boundary;
  noteAcknowledged(entity);
  entity.hold = { kind: 'held', epoch };
  entity.unaudited = [...entity.unaudited, boundary];
  entity.unvalidated = {
    boundary,
    acknowledgedGtids: entity.acknowledgedGtids ?? '',
    segmentsArchived: entity.segmentsArchived,
  };
  entity.standIns = standInsAfter([
    ...entity.standIns.map((it) => ({ kind: 'store' as const, ...it })),
    { kind: 'store', from, to },
  ]);
  entity.boundaries = mergeBoundaries(entity.boundaries, [boundary]);
  log.warn('another store counts', { ...boundary });
  tellArchived(entity);
  // What counts has changed, so that the decisions of the last look are made anew.
  entity.wake = true;
}

/** Where a store that counts is held back: why nothing is archived, and why no other store counts for it. */
export function storesShort(
  entity: ArchiveEntity,
): { readonly error: Error; readonly hope: 'switch' | 'none' } | null {
  const counts = countingStores(entity).length > 0;
  const short = looksOf(entity).find(({ policy, access }) => policy === 'required' && access === 'held-back');
  if (counts && short === undefined) return null;
  // What was just tried in vain waits for the next poll.
  const isSwitching = planStores(entity, []).some((step) => {
    const planned = switchOf(entity, step);
    return planned !== null && !entity.notSwitched.has(nameOf(planned));
  });
  const error = short === undefined ? standInGone(entity) : heldBack(entity, short.store);
  return { error, hope: isSwitching ? 'switch' : 'none' };
}

function standInGone({ standIns }: ArchiveEntity): AppError {
  const stores = standIns.map(({ from, to }) => `${to}, which counts in the place of ${from},`).join(' ');
  return new AppError({
    code: 'StandInGone',
    kind: 'unavailable',
    message: `${stores} is not configured any more, and no other store holds all that was called archived, so nothing counts as archived.`,
    hint: 'What is closed is staged and goes to the stores that there are; the required one counts again once it holds all. What it can get from nowhere is named as a gap: put the store back into pitrail.yaml, or accept the gap (pitrail archive --accept-gap).',
    facts: { standIns: standIns.map(({ to }) => to) },
  });
}
