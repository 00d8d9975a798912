import type { Continuity, FormerSource, HandoffReason, HandoffRoute, SourceRef } from '../catalog-entry.ts';
import { holderOf, type StandingHandoff, type StoreManifest } from './handoff-facts.ts';

/** A store whose catalog could be read. */
export type ReadManifest = Extract<StoreManifest, { kind: 'read' }>;

type SourceRoute = Extract<HandoffRoute, { kind: 'source' }>;

/** A route before a store has put its own number of the timeline in. */
export interface RouteDraft {
  readonly from: FormerSource;
  readonly to: SourceRef;
  readonly continuity:
    | Omit<Extract<Continuity, { kind: 'continues' }>, 'timeline'>
    | Extract<Continuity, { kind: 'resync' }>;
}

/** The boundary of a handoff: one entry of one epoch, the same in every store that can take it. */
export interface HandoffBoundary {
  readonly epoch: number;
  readonly reason: HandoffReason;
  readonly write: readonly { readonly store: string; readonly route: SourceRoute }[];
  /** Stores in which it stands already: an earlier try was cut short. */
  readonly standsIn: readonly string[];
  /** Stores that are away or behind: they get it from another store, in its place. */
  readonly later: readonly string[];
}

/**
 * Where the boundary is to be written: each store names the timeline by its own number. Stores in
 * `behind` lack something that only another store can give them, and it must come before the boundary.
 */
export function boundaryOf(
  stores: readonly StoreManifest[],
  behind: readonly string[],
  epoch: number,
  reason: HandoffReason,
  draft: RouteDraft,
): HandoffBoundary {
  const waits = draft.continuity.kind === 'continues' ? behind : [];
  const standing = stores.filter((manifest) => standsIn(manifest, epoch, draft.to));
  const takers = stores
    .filter((manifest): manifest is ReadManifest => canTake(manifest, epoch))
    .filter(({ store }) => !waits.includes(store));
  const rest = stores.filter(
    (manifest) => !standing.includes(manifest) && !takers.some((it) => it === manifest),
  );
  return {
    epoch,
    reason,
    write: takers.flatMap(({ store, timeline }) =>
      timeline === null ? [] : [{ store, route: routeOn(timeline, draft) }],
    ),
    standsIn: standing.map(({ store }) => store),
    later: rest.map(({ store }) => store),
  };
}

/**
 * True where a store can take the boundary of an epoch: it answers, lacks no handoff before it, and
 * holds something of the history that goes on.
 */
export function canTake(manifest: StoreManifest, epoch: number): boolean {
  const answers = manifest.kind === 'read' && manifest.circuit.kind === 'closed';
  return answers && manifest.epoch === epoch - 1 && manifest.timeline !== null;
}

function standsIn(manifest: StoreManifest, epoch: number, to: SourceRef): boolean {
  if (manifest.kind === 'unread' || manifest.lastHandoff?.epoch !== epoch) return false;
  return sameSource(holderOf(manifest.lastHandoff), to);
}

function routeOn(timeline: number, { from, to, continuity }: RouteDraft): SourceRoute {
  if (continuity.kind === 'resync') return { kind: 'source', from, to, continuity };
  const { baselineGtids } = continuity;
  return { kind: 'source', from, to, continuity: { kind: 'continues', timeline, baselineGtids } };
}

/** The newest handoff to a source that any catalog names. */
export function newestHandoff(read: readonly ReadManifest[]): StandingHandoff | null {
  return read.reduce<StandingHandoff | null>((newest, { lastHandoff }) => {
    if (lastHandoff === null) return newest;
    return newest === null || lastHandoff.epoch > newest.epoch ? lastHandoff : newest;
  }, null);
}

/** The epoch that all catalogs together have reached. */
export function newestEpoch(read: readonly ReadManifest[]): number {
  return read.reduce((newest, { epoch }) => Math.max(newest, epoch), 0);
}

/** True where both are the same server under the same name. */
export function sameSource(a: SourceRef | null, b: SourceRef): boolean {
  return a !== null && a.source === b.source && a.serverUuid === b.serverUuid;
}
