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
  /** The how-manieth of its server it is, in the first store that has it. */
  readonly name: string;
  /** The server that began it. */
  readonly serverUuid: string;
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

/** A timeline of one store, before it is known which one it is. */
interface OwnTimeline {
  readonly number: number;
  readonly serverUuid: string;
  readonly name: string;
  readonly list: MergedSegment[];
}

/**
 * Finds out which timelines of several stores are the same, however each store numbers them: those that share
 * a log; where none is shared, the how-manieth of one server, if all stores have as many of it.
 */
export class TimelineMatcher {
  readonly #timelines: MergedTimeline[] = [];
  readonly #lineOf = new Map<MergedSegment, MergedTimeline>();
  readonly #stores: {
    readonly store: string;
    readonly lines: readonly MergedTimeline[];
    readonly counts: ReadonlyMap<string, number>;
  }[] = [];

  /** @param merged the segments of the catalog, in its order */
  add(catalog: StoreCatalog, merged: readonly MergedSegment[]): StoreLines {
    const { store } = catalog;
    const timelines = timelinesIn(catalog, merged);
    const counts = new Map<string, number>();
    for (const { serverUuid } of timelines) counts.set(serverUuid, (counts.get(serverUuid) ?? 0) + 1);
    const own = new Map<number, MergedTimeline>();
    const conflicts: StoreLines['conflicts'] = [];
    const settle = (timeline: OwnTimeline, line: MergedTimeline) => {
      if (line.numbers.has(store)) conflicts.push(differ(line, store, timeline));
      line.numbers.set(store, timeline.number);
      if (timeline.list.length > 0) line.lists.push(timeline.list);
      for (const it of timeline.list) this.#lineOf.set(it, line);
      own.set(timeline.number, line);
    };
    const shared = timelines.map(({ list }) => [
      ...new Set(list.flatMap((it) => this.#lineOf.get(it) ?? [])),
    ]);
    // Those first: none of the others is one of them.
    for (const [index, timeline] of timelines.entries()) {
      const [line, ...others] = shared[index] ?? [];
      if (line === undefined) continue;
      settle(timeline, line);
      if (others.length > 0) conflicts.push(differ(line, store, timeline));
    }
    for (const [index, timeline] of timelines.entries()) {
      if ((shared[index] ?? []).length > 0) continue;
      const found = this.#byPlace(timeline, store, counts);
      settle(timeline, found.line);
      conflicts.push(...found.unsure.map((line) => differ(line, store, timeline)));
    }
    const lines = [...own].sort(([a], [b]) => a - b).map(([, line]) => line);
    this.#stores.push({ store, lines, counts });
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

  /** The one in the same place among those of its server; a new one where it is not sure that it is the same. */
  #byPlace(
    { name, serverUuid, list }: OwnTimeline,
    store: string,
    counts: ReadonlyMap<string, number>,
  ): { readonly line: MergedTimeline; readonly unsure: readonly MergedTimeline[] } {
    const free = this.#timelines.filter((line) => line.serverUuid === serverUuid && !line.numbers.has(store));
    const named = free.find((line) => line.name === name);
    const isSure = this.#stores.every(
      (other) => (other.counts.get(serverUuid) ?? counts.get(serverUuid)) === counts.get(serverUuid),
    );
    const filled = free.filter(({ lists }) => lists.length > 0);
    if (named !== undefined && (isSure || filled.length === 0 || list.length === 0)) {
      return { line: named, unsure: [] };
    }
    const line = { number: 0, lists: [], numbers: new Map<string, number>(), name, serverUuid };
    this.#timelines.push(line);
    return { line, unsure: list.length === 0 || filled.length === 0 ? [] : [line, ...filled] };
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

function differ(
  line: MergedTimeline,
  store: string,
  { name, list }: OwnTimeline,
): StoreLines['conflicts'][number] {
  const [first] = list;
  const called = first === undefined ? name : nameOfSegment(first.segment);
  const stores = [...new Set([...line.numbers.keys(), store])];
  return { timeline: line, conflict: { kind: 'timelines-differ', stores, name: called } };
}

/** Also those whose first entry is missing, which no writer leaves: they count by their number alone. */
function timelinesIn(
  { timelines, segments }: StoreCatalog,
  merged: readonly MergedSegment[],
): readonly OwnTimeline[] {
  const lists = Map.groupBy(
    merged.map((it, index) => ({ it, number: segments[index]?.timeline ?? 0 })),
    ({ number }) => number,
  );
  const counts = new Map<string, number>();
  const started = timelines.map(({ timeline, serverUuid }) => {
    const count = (counts.get(serverUuid) ?? 0) + 1;
    counts.set(serverUuid, count);
    return { number: timeline, serverUuid: serverUuid as string, name: `${serverUuid}#${count}` };
  });
  const others = [...lists.keys()].filter((number) => !started.some((it) => it.number === number));
  const named = others.map((number) => ({ number, serverUuid: '', name: `timeline ${number}` }));
  return [...started, ...named]
    .sort((a, b) => a.number - b.number)
    .map((it) => ({ ...it, list: (lists.get(it.number) ?? []).map((entry) => entry.it) }));
}
