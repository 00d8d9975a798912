import type { CatalogBody } from '../catalog-entry.ts';
import type { GtidSet } from '../gtid-set.ts';
import type { StoredObject } from '../segment.ts';
import {
  archivedByLine,
  type CatalogView,
  isCovered,
  type ListedEntry,
  nameOf,
  oneLine,
  subjectOf,
  timelineNames,
} from './catalog-view.ts';
import { type CatalogDifference, compareCatalogs, isMaterial } from './compare.ts';

/** One entry that a store gets from another: first its object, where it names one, then itself. */
export interface SyncStep {
  /** Sequence and epoch of the entry that it is a copy of. */
  readonly sequence: number;
  readonly epoch: number;
  /** As it will stand in the other store: with the number that the timeline has there. */
  readonly body: CatalogBody;
  readonly object: StoredObject | null;
  readonly name: string;
}

/** Something that cannot be copied. */
export type SyncObstacle =
  | Extract<CatalogDifference, { kind: 'other-repository' | 'differs' }>
  /**
   * The other store has later logs of the same timeline already: entries are only ever added at the
   * end, and there this one would stand out of order.
   */
  | { readonly kind: 'too-late'; readonly name: string; readonly behind: string; readonly gtids: string }
  /**
   * Its server was handed away in the other store, which this one has not got: its transactions are in
   * no history that goes on.
   */
  | { readonly kind: 'fenced'; readonly name: string; readonly epoch: number; readonly gtids: string };

export interface SyncPlan {
  /** In the order in which they are to be done. Nothing depends on what is in `obstacles`. */
  readonly steps: readonly SyncStep[];
  readonly obstacles: readonly SyncObstacle[];
  /** Stored bytes of all objects in `steps`. */
  readonly bytes: number;
}

/**
 * Plans what `to` gets from `from`: every entry that it lacks, in the order of `from`. What the two
 * say differently is an obstacle, and so is an entry that would stand out of order.
 */
export function planSync(from: CatalogView, to: CatalogView): SyncPlan {
  const { differences } = compareCatalogs(from, to);
  const conflicts = differences
    .filter(isMaterial)
    .filter((it) => it.kind === 'other-repository' || it.kind === 'differs');
  if (conflicts.some(({ kind }) => kind === 'other-repository')) {
    return { steps: [], obstacles: conflicts, bytes: 0 };
  }
  const steps: SyncStep[] = [];
  const obstacles: SyncObstacle[] = [...conflicts];
  const numbers = new TimelineNumbers(from, to);
  for (const { entry, obstacle } of lackedEntries(from, to)) {
    if (obstacle === null) steps.push(stepOf(entry, numbers.translate(entry.body)));
    else if (obstacle !== 'covered') obstacles.push(obstacle);
  }
  const bytes = steps.reduce((sum, { object }) => sum + (object?.lengthBytes ?? 0), 0);
  return { steps, obstacles, bytes };
}

/** An entry that one store lacks of another. */
export interface LackedEntry {
  readonly entry: ListedEntry;
  /** What keeps it from being copied, null where nothing does; `covered`: nothing is lost without it. */
  readonly obstacle: SyncObstacle | 'covered' | null;
}

/** What `to` lacks of `from`, in the order of `from`. What both have is not compared, so it costs far less than a plan. */
export function lackedEntries(from: CatalogView, to: CatalogView): readonly LackedEntry[] {
  const sorter = new Sorter(from, to);
  return sorter.lacking().map((entry) => ({ entry, obstacle: sorter.obstacleTo(entry) }));
}

/** Tells what can be copied, and what stands in the way of the rest. */
class Sorter {
  readonly #from: CatalogView;
  readonly #fromNames: ReadonlyMap<number, string>;
  readonly #there: ReadonlySet<string>;
  readonly #to: CatalogView;
  /** Made when it is asked for: it takes the sets of all segments. */
  #held: ReadonlyMap<string, GtidSet> | null = null;
  /** The last segment of each timeline of `from` that the other store has. */
  readonly #latest = new Map<number, ListedEntry>();
  /** The handoffs that only the other store has, by the server that they took the archive from. */
  readonly #fences = new Map<string, number>();

  constructor(from: CatalogView, to: CatalogView) {
    this.#from = from;
    this.#fromNames = timelineNames(from);
    const toNames = timelineNames(to);
    this.#there = new Set(to.entries.map((entry) => keyOf(entry, toNames)));
    this.#to = to;
    for (const entry of from.entries) {
      if (entry.body.kind === 'segment-archived' && this.#isThere(entry)) {
        this.#latest.set(entry.body.timeline, entry);
      }
    }
    const own = new Set(from.entries.map((entry) => keyOf(entry, this.#fromNames)));
    for (const entry of to.entries) {
      const { body, epoch } = entry;
      if (body.kind !== 'handoff' || body.route.kind !== 'source' || own.has(keyOf(entry, toNames))) continue;
      if (body.route.from.serverUuid !== null) this.#fences.set(body.route.from.serverUuid, epoch);
      this.#fences.delete(body.route.to.serverUuid);
    }
  }

  lacking(): readonly ListedEntry[] {
    return this.#from.entries.filter((entry) => !this.#isThere(entry));
  }

  /** What keeps an entry from being copied; `covered`: nothing is lost without it. */
  obstacleTo(entry: ListedEntry): SyncObstacle | 'covered' | null {
    const { body } = entry;
    if (body.kind !== 'segment-archived') return null;
    const gtids = oneLine(body.segment.gtids);
    const name = nameOf(entry);
    const behind = this.#latest.get(body.timeline);
    const isLate = behind !== undefined && behind.sequence > entry.sequence;
    const epoch = this.#fences.get(body.segment.serverUuid);
    if (!isLate && epoch === undefined) return null;
    this.#held ??= archivedByLine(this.#to);
    if (isCovered(body, this.#fromNames, this.#held)) return 'covered';
    if (epoch !== undefined) return { kind: 'fenced', name, epoch, gtids };
    return { kind: 'too-late', name, behind: behind === undefined ? '' : nameOf(behind), gtids };
  }

  #isThere(entry: ListedEntry): boolean {
    return this.#there.has(keyOf(entry, this.#fromNames));
  }
}

function keyOf(entry: ListedEntry, names: ReadonlyMap<number, string>): string {
  return `${entry.body.kind}|${subjectOf(entry, names)}`;
}

function stepOf({ sequence, epoch, body: original }: ListedEntry, body: CatalogBody): SyncStep {
  const object = 'object' in body ? body.object : null;
  return { sequence, epoch, body, object, name: nameOf({ sequence, epoch, body: original }) };
}

/** Gives each timeline of one store its number in the other; one that is new there gets the next. */
class TimelineNumbers {
  readonly #numbers = new Map<number, number>();

  constructor(from: CatalogView, to: CatalogView) {
    const known = new Map([...timelineNames(to)].map(([number, name]) => [name, number] as const));
    let next = Math.max(0, ...known.values()) + 1;
    for (const [number, name] of timelineNames(from)) {
      const there = known.get(name);
      this.#numbers.set(number, there ?? next);
      if (there === undefined) next += 1;
    }
  }

  translate(body: CatalogBody): CatalogBody {
    switch (body.kind) {
      case 'timeline-started': {
        const parent = body.parent === null ? null : this.#of(body.parent);
        return { ...body, timeline: this.#of(body.timeline), parent };
      }
      case 'segment-archived':
      case 'gap-accepted':
        return { ...body, timeline: this.#of(body.timeline) };
      case 'backup-registered':
        return { ...body, backup: { ...body.backup, timeline: this.#of(body.backup.timeline) } };
      case 'handoff': {
        const { route } = body;
        if (route.kind !== 'source' || route.continuity.kind !== 'continues') return body;
        const continuity = { ...route.continuity, timeline: this.#of(route.continuity.timeline) };
        return { ...body, route: { ...route, continuity } };
      }
      case 'repository-created':
      case 'segment-refused':
      case 'handoff-validated':
        return body;
    }
  }

  /** A number that no entry started is left as it is. */
  #of(timeline: number): number {
    return this.#numbers.get(timeline) ?? timeline;
  }
}
