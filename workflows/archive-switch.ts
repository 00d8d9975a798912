import { log } from '@temporalio/workflow';
import type { ArchiveSettings } from '../activities/archive.ts';
import type { Discovery } from '../src/archiving/discovery.ts';
import type { StoreSwitch } from '../src/archiving/switch-store.ts';
import {
  planStoreHandoff,
  type StoreHandoffStep,
  standInsAfter,
} from '../src/domain/routing/store-handoff.ts';
import { storeTries } from './archive-activities.ts';
import { heldBack } from './archive-circuits.ts';
import type { ArchiveEntity } from './archive-entity.ts';
import { held } from './archive-hold.ts';
import { acknowledgedGtids, circuitOf, looksOf } from './archive-records.ts';
import { tellArchived } from './archive-waiting.ts';

/** What is to be done about each required store, as far as it is known now. */
export function planStores(
  entity: ArchiveEntity,
  comparisons: Discovery['comparisons'],
): readonly StoreHandoffStep[] {
  const acknowledged = acknowledgedGtids(entity);
  if (acknowledged === null) return [];
  const { stores, standIns } = entity;
  return planStoreHandoff({ stores, standIns, acknowledgedGtids: acknowledged, comparisons });
}

/**
 * Makes another store count for a required one that has failed, where it holds all that was called
 * archived; and makes that one count again once both hold the same. Each is an entry of the catalogs.
 */
export async function switchStores(
  entity: ArchiveEntity,
  settings: ArchiveSettings,
  { comparisons }: Pick<Discovery, 'comparisons'>,
): Promise<void> {
  for (const step of planStores(entity, comparisons)) {
    if (step.kind === 'stand-in') await carryOut(entity, settings, standInRoute(entity, step));
    // What a lane writes while both are compared would be missed by the one that comes back.
    if (step.kind === 'switch-back' && !entity.lanes.has(step.from) && !entity.lanes.has(step.to)) {
      await carryOut(entity, settings, backRoute(step));
    }
  }
}

function standInRoute(entity: ArchiveEntity, { from, to }: { from: string; to: string }): StoreSwitch {
  const circuit = circuitOf(entity, from);
  const cause = circuit.kind === 'closed' ? '' : `: ${circuit.cause.message}`;
  return { from, to, reason: 'circuit-open', detail: `${from} has failed several times in a row${cause}` };
}

function backRoute({ from, to }: { from: string; to: string }): StoreSwitch {
  const detail = `${from} is back, and both catalogs were compared and found equal`;
  return { from: to, to: from, reason: 'switch-back', detail };
}

async function carryOut(entity: ArchiveEntity, { host }: ArchiveSettings, route: StoreSwitch): Promise<void> {
  const reachable = looksOf(entity).flatMap(({ store, access }) => (access === 'open' ? [store] : []));
  const acknowledged = acknowledgedGtids(entity) ?? '';
  const circuit = circuitOf(entity, route.from);
  entity.switching = 'under-way';
  try {
    const done = await storeTries(host).switchStore({
      ...held(entity),
      route,
      acknowledgedGtids: acknowledged,
      reachable,
      detectedAtMs: circuit.kind === 'closed' ? Date.now() : circuit.openedAtMs,
    });
    if (done.kind === 'not-yet') return;
    entity.hold = { kind: 'held', epoch: done.epoch };
    entity.standIns = standInsAfter([
      ...entity.standIns.map((standIn) => ({ kind: 'store' as const, ...standIn })),
      { kind: 'store', from: route.from, to: route.to },
    ]);
    log.warn('another store counts', { ...route, epoch: done.epoch });
    tellArchived(entity);
    // What counts has changed, so that the decisions of the last look are made anew.
    entity.wake = true;
  } finally {
    entity.switching = 'no';
  }
}

/** Where a store that counts is held back: why nothing is archived, and why no other store counts for it. */
export function storesShort(
  entity: ArchiveEntity,
): { readonly error: Error; readonly hope: 'switch' | 'none' } | null {
  const short = looksOf(entity).find(({ policy, access }) => policy === 'required' && access === 'held-back');
  if (short === undefined) return null;
  const isSwitching = planStores(entity, []).some(({ kind }) => kind === 'stand-in');
  return { error: heldBack(entity, short.store), hope: isSwitching ? 'switch' : 'none' };
}
