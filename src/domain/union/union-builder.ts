import type { HandoffRoute } from '../catalog-entry.ts';
import type { Baseline, CatalogBackup, CatalogSegment, PlanFacts } from '../plan-facts.ts';
import { newestTimeline } from '../plan-timeline.ts';
import type { UnionConflict } from './conflict.ts';
import { differingFields } from './differing-fields.ts';
import { type FencedLog, fencedConflict, fencedLogs } from './fenced.ts';
import { mergeOrders } from './merge-order.ts';
import type { MergedHandoff } from './merged-handoff.ts';
import { type MergedSegment, nameOfSegment } from './merged-segment.ts';
import { epochAt, type StoreCatalog } from './store-catalog.ts';
import { type MergedTimeline, TimelineMatcher, type UnclearTimeline } from './timeline-matcher.ts';

/** What the catalogs of several stores say together. */
export interface CatalogUnion {
  readonly facts: PlanFacts;
  /** Stores that were read, in order. */
  readonly stores: readonly string[];
  /** What forbids to plan on a timeline; null: on any. */
  readonly conflicts: readonly { readonly timeline: number | null; readonly conflict: UnionConflict }[];
  readonly unclear: readonly UnclearTimeline[];
  /** Logs that are left out, because their server had been handed away. */
  readonly fenced: readonly FencedLog[];
}

/** The conflict that a request for a timeline meets; null: the newest. */
export function conflictOn(union: CatalogUnion, timeline: number | null): UnionConflict | null {
  const unclear = union.unclear.find((it) => it.timeline === timeline);
  if (unclear !== undefined) return unclear;
  const number = timeline ?? newestTimeline(union.facts);
  const found = union.conflicts.find((it) => it.timeline === null || it.timeline === number);
  return found?.conflict ?? null;
}

/**
 * Reads the catalogs of several stores as one: each log and base backup once, with all stores that hold it, in
 * one order of commit. Catalogs are added one after the other, in the order in which the stores are preferred,
 * and need not be kept. Pure but for its own state.
 */
export class UnionBuilder {
  readonly #stores: Pick<StoreCatalog, 'store' | 'repositoryId' | 'cluster' | 'sequence'>[] = [];
  readonly #timelines = new TimelineMatcher();
  readonly #segments = new Map<string, Mutable<MergedSegment>[]>();
  readonly #backups = new Map<string, { entry: Mutable<CatalogBackup>; timeline: MergedTimeline | null }>();
  readonly #handoffs = new Map<number, MergedHandoff>();
  readonly #conflicts: { timeline: MergedTimeline | null; conflict: UnionConflict }[] = [];

  add(catalog: StoreCatalog): void {
    const { store, repositoryId, cluster, sequence } = catalog;
    this.#stores.push({ store, repositoryId, cluster, sequence });
    const merged = catalog.segments.map((listed) => this.#segment(catalog, listed));
    const lines = this.#timelines.add(catalog, merged);
    this.#conflicts.push(...lines.conflicts);
    for (const { backup, object } of catalog.backups) {
      this.#backup(store, { backup, object, stores: [store] }, lines.of(backup.timeline));
    }
    for (const { epoch, route } of catalog.handoffs) this.#handoff(store, epoch, route, lines.of);
  }

  build(): CatalogUnion {
    const [first] = this.#stores;
    const timelines = this.#timelines.inOrder();
    const handoffs = [...this.#handoffs.values()].sort((a, b) => a.epoch - b.epoch);
    const conflicts = [...this.#conflicts, ...this.#repositoryConflict()];
    const segments: CatalogSegment[] = [];
    const fenced: FencedLog[] = [];
    const baselines: Baseline[] = [];
    for (const timeline of timelines.all) {
      const line = mergedLine(timeline, handoffs, segments.length);
      for (const segment of line.segments) segments.push(segment);
      fenced.push(...line.fenced);
      baselines.push(...line.baselines);
      conflicts.push(...line.conflicts.map((conflict) => ({ timeline, conflict })));
    }
    return {
      facts: {
        repositoryId: first?.repositoryId ?? '',
        cluster: first?.cluster ?? '',
        catalogSequence: first?.sequence ?? 0,
        segments,
        backups: [...this.#backups.values()].map(({ entry, timeline }) => renumbered(entry, timeline)),
        baselines,
      },
      stores: this.#stores.map(({ store }) => store),
      conflicts: conflicts.map(({ timeline, conflict }) => ({
        timeline: timeline?.number ?? null,
        conflict,
      })),
      unclear: timelines.unclear,
      fenced,
    };
  }

  #segment(
    catalog: StoreCatalog,
    { sequence, segment, object }: StoreCatalog['segments'][number],
  ): MergedSegment {
    const { store } = catalog;
    const epoch = epochAt(catalog, sequence);
    const key = `${segment.serverUuid}/${segment.binlog}/${segment.createdAt}`;
    const alike = this.#segments.get(key) ?? [];
    const known = alike.find(
      (it) =>
        it.segment.previousGtids === segment.previousGtids && it.segment.firstCommit === segment.firstCommit,
    );
    const fields = known === undefined ? [] : differingFields(known.segment, segment);
    if (known !== undefined && fields.length === 0) {
      // Sealed in another way, it has another key, under which a reader of the first would look in vain.
      const isCopy = known.object.key === object.key && !known.stores.includes(store);
      if (isCopy) known.stores = [...known.stores, store];
      known.epoch = Math.min(known.epoch, epoch);
      return known;
    }
    if (known !== undefined) {
      const stores = [...known.stores, store];
      const name = nameOfSegment(segment);
      this.#conflicts.push({ timeline: null, conflict: { kind: 'differs', stores, name, fields } });
    }
    const merged = { segment, object, stores: [store], epoch };
    this.#segments.set(key, [...alike, merged]);
    return merged;
  }

  #backup(store: string, entry: CatalogBackup, timeline: MergedTimeline | null): void {
    const { backupId } = entry.backup;
    const known = this.#backups.get(backupId);
    if (known === undefined) {
      this.#backups.set(backupId, { entry, timeline });
      return;
    }
    const fields = differingFields(
      { ...known.entry.backup, timeline: 0 },
      { ...entry.backup, timeline: 0 },
    ).concat(known.timeline === timeline ? [] : ['timeline']);
    if (fields.length === 0) {
      if (known.entry.object.key === entry.object.key) known.entry.stores = [...known.entry.stores, store];
      return;
    }
    const stores = [...known.entry.stores, store];
    const name = `base backup ${backupId}`;
    this.#conflicts.push({ timeline: null, conflict: { kind: 'differs', stores, name, fields } });
  }

  #handoff(
    store: string,
    epoch: number,
    route: HandoffRoute,
    lineOf: (number: number) => MergedTimeline | null,
  ): void {
    const continues = route.kind === 'source' && route.continuity.kind === 'continues';
    const timeline = continues ? lineOf(continuedTimeline(route)) : null;
    const known = this.#handoffs.get(epoch);
    if (known === undefined) {
      this.#handoffs.set(epoch, { epoch, route, timeline, stores: [store] });
      return;
    }
    if (known.timeline === timeline && isSameRoute(known.route, route)) {
      known.stores.push(store);
      return;
    }
    const stores = [...known.stores, store];
    this.#conflicts.push({ timeline: null, conflict: { kind: 'handoffs-differ', stores, epoch } });
  }

  #repositoryConflict(): { timeline: null; conflict: UnionConflict }[] {
    const repositoryIds = [...new Set(this.#stores.map(({ repositoryId }) => repositoryId))];
    if (repositoryIds.length < 2) return [];
    const stores = this.#stores.map(({ store }) => store);
    return [{ timeline: null, conflict: { kind: 'other-repository', stores, repositoryIds } }];
  }
}

interface MergedLine {
  readonly segments: readonly CatalogSegment[];
  readonly baselines: readonly Baseline[];
  readonly fenced: readonly FencedLog[];
  readonly conflicts: readonly UnionConflict[];
}

/** @param offset place of the timeline's first segment among those of all timelines */
function mergedLine(timeline: MergedTimeline, all: readonly MergedHandoff[], offset: number): MergedLine {
  const { number, lists } = timeline;
  const ordered = mergeOrders(lists);
  const whole = ordered.kind === 'ordered' ? ordered.segments : (lists[0] ?? []);
  const handoffs = all.filter((handoff) => handoff.timeline === timeline);
  const out = fencedLogs(number, whole, handoffs);
  const left = new Set(out.map(({ log }) => log));
  const kept = whole.filter((it) => !left.has(it));
  return {
    segments: kept.map(({ segment, object, stores }) => ({ timeline: number, segment, object, stores })),
    baselines: baselinesOf(number, kept, handoffs, offset),
    fenced: out.map(({ told }) => told),
    conflicts: [...(ordered.kind === 'ordered' ? [] : [ordered.conflict]), ...fencedConflict(out)],
  };
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function renumbered(entry: CatalogBackup, timeline: MergedTimeline | null): CatalogBackup {
  if (timeline === null || timeline.number === entry.backup.timeline) return entry;
  return { ...entry, backup: { ...entry.backup, timeline: timeline.number } };
}

function continuedTimeline(route: HandoffRoute): number {
  return route.kind === 'source' && route.continuity.kind === 'continues' ? route.continuity.timeline : 0;
}

/** Stores may number the timeline otherwise. */
function isSameRoute(a: HandoffRoute, b: HandoffRoute): boolean {
  const plain = (route: HandoffRoute) =>
    JSON.stringify(route, (key, value) => (key === 'timeline' ? undefined : value));
  return plain(a) === plain(b);
}

function baselinesOf(
  timeline: number,
  segments: readonly MergedSegment[],
  handoffs: readonly MergedHandoff[],
  offset: number,
): Baseline[] {
  return handoffs.flatMap(({ epoch, route }): Baseline[] => {
    if (route.kind !== 'source' || route.continuity.kind !== 'continues') return [];
    const place = segments.findIndex((segment) => segment.epoch >= epoch);
    const from = offset + (place < 0 ? segments.length : place);
    return [{ timeline, serverUuid: route.to.serverUuid, from, gtids: route.continuity.baselineGtids }];
  });
}
