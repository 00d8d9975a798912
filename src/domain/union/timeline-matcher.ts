import type { UnionConflict } from './conflict.ts';
import { type MergedSegment, nameOfSegment } from './merged-segment.ts';
import type { StoreCatalog } from './store-catalog.ts';

/** One line of history, in whatever stores it is archived. */
export interface MergedTimeline {
  /** What users call it; settled by `inOrder`. */
  number: number;
  /** Its logs, as each store that holds any has them in order. */
  readonly lists: MergedSegment[][];
  /** What each store calls it. */
  readonly numbers: Map<string, number>;
  /** The how-manieth of which server it is. */
  readonly name: string;
}

/** The timelines of one store. */
export interface StoreLines {
  /** null for a number that no entry started. */
  readonly of: (timeline: number) => MergedTimeline | null;
  readonly conflicts: { timeline: MergedTimeline; conflict: UnionConflict }[];
}

/** A number that is another timeline in each store; null: the newest, of which no store knows. */
export type UnclearTimeline = Extract<UnionConflict, { kind: 'timeline-unclear' }>;

/** All timelines, oldest first as far as any store tells. */
export interface OrderedTimelines {
  readonly all: readonly MergedTimeline[];
  readonly unclear: readonly UnclearTimeline[];
}

/**
 * Finds out which timelines of several stores are the same, however each store numbers them: those that share
 * a log; where none is shared, the how-manieth of one server.
 */
export class TimelineMatcher {
  readonly #timelines: MergedTimeline[] = [];
  readonly #lineOf = new Map<MergedSegment, MergedTimeline>();
  readonly #stores: { readonly store: string; readonly lines: readonly MergedTimeline[] }[] = [];

  /** @param merged the segments of the catalog, in its order */
  add(catalog: StoreCatalog, merged: readonly MergedSegment[]): StoreLines {
    const { store } = catalog;
    const own = new Map<number, MergedTimeline>();
    const conflicts: StoreLines['conflicts'] = [];
    const byNumber = Map.groupBy(
      merged.map((it, index) => ({ it, index })),
      ({ index }) => catalog.segments[index]?.timeline ?? 0,
    );
    for (const { number, name } of namedTimelines(catalog)) {
      const list = (byNumber.get(number) ?? []).map(({ it }) => it);
      const shared = [...new Set(list.flatMap((it) => this.#lineOf.get(it) ?? []))];
      const line = shared[0] ?? this.#named(name, store) ?? this.#begin(name);
      if (shared.length > 1 || line.numbers.has(store)) {
        const names = list.find((it) => this.#lineOf.has(it)) ?? list[0];
        const called = names === undefined ? name : nameOfSegment(names.segment);
        const stores = [...new Set([...line.numbers.keys(), store])];
        conflicts.push({ timeline: line, conflict: { kind: 'timelines-differ', stores, name: called } });
      }
      line.numbers.set(store, number);
      if (list.length > 0) line.lists.push(list);
      for (const it of list) this.#lineOf.set(it, line);
      own.set(number, line);
    }
    const lines = [...own].sort(([a], [b]) => a - b).map(([, line]) => line);
    this.#stores.push({ store, lines });
    return { of: (number) => own.get(number) ?? null, conflicts };
  }

  /** Orders the timelines so that each store's order is kept, and gives each its number. */
  inOrder(): OrderedTimelines {
    const all = this.#sorted();
    let last = 0;
    for (const line of all) {
      const [number = 0] = line.numbers.values();
      last = Math.max(number, last + 1);
      line.number = last;
    }
    return { all, unclear: this.#unclear(all) };
  }

  #named(name: string, store: string): MergedTimeline | undefined {
    return this.#timelines.find((line) => line.name === name && !line.numbers.has(store));
  }

  #begin(name: string): MergedTimeline {
    const line = { number: 0, lists: [], numbers: new Map<string, number>(), name };
    this.#timelines.push(line);
    return line;
  }

  /** One that no other must come before is next; in a circle the first of those left. */
  #sorted(): MergedTimeline[] {
    const rest = [...this.#timelines];
    const sorted: MergedTimeline[] = [];
    while (rest.length > 0) {
      const free = rest.findIndex((line) => !rest.some((other) => this.#isBefore(other, line)));
      sorted.push(...rest.splice(Math.max(0, free), 1));
    }
    return sorted;
  }

  #isBefore(a: MergedTimeline, b: MergedTimeline): boolean {
    return this.#stores.some(({ lines }) => {
      const [one, other] = [lines.indexOf(a), lines.indexOf(b)];
      return one >= 0 && other > one;
    });
  }

  #unclear(all: readonly MergedTimeline[]): UnclearTimeline[] {
    const stores = this.#stores.map(({ store }) => store);
    const unclear = (timeline: number | null) => ({ kind: 'timeline-unclear', stores, timeline }) as const;
    const numbers = new Set(all.flatMap((line) => [...line.numbers.values()]));
    const calledTwice = [...numbers].filter(
      (number) => all.filter((line) => [...line.numbers.values()].includes(number)).length > 1,
    );
    const filled = all.filter(({ lists }) => lists.length > 0);
    const newest = filled.filter(
      (line) => !filled.some((other) => other !== line && this.#leadsTo(line, other, filled)),
    );
    // None: two stores have them in another order.
    const isClear = newest.length === 1 || filled.length === 0;
    return [...calledTwice.map(unclear), ...(isClear ? [] : [unclear(null)])];
  }

  #leadsTo(a: MergedTimeline, b: MergedTimeline, all: readonly MergedTimeline[]): boolean {
    return (
      this.#isBefore(a, b) ||
      all.some((it) => it !== a && it !== b && this.#isBefore(a, it) && this.#isBefore(it, b))
    );
  }
}

/** Also those whose first entry is missing, which no writer leaves: they count by their number alone. */
function namedTimelines({ timelines, segments }: StoreCatalog): { number: number; name: string }[] {
  const counts = new Map<string, number>();
  const named = timelines.map(({ timeline, serverUuid }) => {
    const count = (counts.get(serverUuid) ?? 0) + 1;
    counts.set(serverUuid, count);
    return { number: timeline, name: `${serverUuid}#${count}` };
  });
  const unnamed = [...new Set(segments.map(({ timeline }) => timeline))].filter(
    (number) => !named.some((it) => it.number === number),
  );
  return [...named, ...unnamed.map((number) => ({ number, name: `timeline ${number}` }))].sort(
    (a, b) => a.number - b.number,
  );
}
