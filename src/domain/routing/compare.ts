import type { CatalogBody } from '../catalog-entry.ts';
import {
  archivedByLine,
  archivedGtids,
  type CatalogView,
  isCovered,
  type ListedEntry,
  nameOf,
  oneLine,
  subjectOf,
  timelineNames,
} from './catalog-view.ts';

/** One thing in which two catalogs do not agree. Plain JSON. */
export type CatalogDifference =
  | { readonly kind: 'other-repository'; readonly repositoryIds: readonly [string, string] }
  | {
      readonly kind: 'missing';
      /** The store that lacks it. */
      readonly store: string;
      readonly heldBy: string;
      readonly what: CatalogBody['kind'];
      readonly name: string;
      /** GTIDs in it; empty where it holds none. */
      readonly gtids: string;
    }
  /** One store lacks a log, and holds all its transactions in other logs of the same timeline. */
  | {
      readonly kind: 'covered';
      readonly store: string;
      readonly heldBy: string;
      readonly name: string;
      readonly gtids: string;
    }
  /** Both have it, and say different things of it: one of them is wrong. */
  | {
      readonly kind: 'differs';
      readonly stores: readonly [string, string];
      readonly what: CatalogBody['kind'];
      readonly name: string;
      readonly fields: readonly string[];
    }
  /** The same plaintext, sealed twice: each of the objects restores it. */
  | { readonly kind: 'sealed-twice'; readonly stores: readonly [string, string]; readonly name: string }
  /** The same segments of a timeline in another order: one of them is no order of commit. */
  | { readonly kind: 'other-order'; readonly stores: readonly [string, string]; readonly name: string };

/** What two stores hold, side by side. Plain JSON. */
export interface CatalogComparison {
  readonly stores: readonly [string, string];
  /** `equal`: both hold the same GTIDs, in segments of the same digests, and the same backups. */
  readonly verdict: 'equal' | 'different';
  /** GTIDs that only the first, and only the second holds. */
  readonly onlyInFirst: string;
  readonly onlyInSecond: string;
  /** Every difference; of refusals too, which change no verdict. */
  readonly differences: readonly CatalogDifference[];
}

interface Subject {
  readonly entry: ListedEntry;
  /** What is compared, by the name of the field. */
  readonly fields: ReadonlyMap<string, string>;
}

/** Compares the catalogs of two stores: what one lacks, and what they say differently. */
export function compareCatalogs(first: CatalogView, second: CatalogView): CatalogComparison {
  const stores = [first.store, second.store] as const;
  const [a, b] = [subjectsOf(first), subjectsOf(second)];
  const [heldA, heldB] = [archivedGtids(first), archivedGtids(second)];
  const differences: CatalogDifference[] = [
    ...repositoryDifference(first, second),
    ...missingIn(second, first, a, b),
    ...missingIn(first, second, b, a),
    ...[...a].flatMap(([key, one]) => contentDifference(stores, one, b.get(key))),
    ...orderDifferences(stores, [...a.keys()], [...b.keys()], a),
  ];
  const matters = differences.some(isMaterial);
  return {
    stores,
    verdict: matters ? 'different' : 'equal',
    onlyInFirst: heldA.subtract(heldB).toString(),
    onlyInSecond: heldB.subtract(heldA).toString(),
    differences,
  };
}

/** True for a difference by which one store cannot do what the other can, or one of them is wrong. */
export function isMaterial(difference: CatalogDifference): boolean {
  if (difference.kind === 'sealed-twice' || difference.kind === 'covered') return false;
  if (difference.kind !== 'missing' && difference.kind !== 'differs') return true;
  // These tell of something, and hold nothing that a restore needs.
  return difference.what !== 'segment-refused' && difference.what !== 'handoff-validated';
}

function repositoryDifference(first: CatalogView, second: CatalogView): CatalogDifference[] {
  if (first.repositoryId === second.repositoryId) return [];
  return [{ kind: 'other-repository', repositoryIds: [first.repositoryId, second.repositoryId] }];
}

function subjectsOf(view: CatalogView): Map<string, Subject> {
  const names = timelineNames(view);
  const subjects = view.entries.map((entry) => {
    const key = `${entry.body.kind}|${subjectOf(entry, names)}`;
    return [key, { entry, fields: fieldsOf(entry.body, names) }] as const;
  });
  return new Map(subjects);
}

function fieldsOf(body: CatalogBody, names: ReadonlyMap<number, string>): Map<string, string> {
  const fields = new Map<string, string>();
  // The first entry tells who made the repository, which is another process in each store.
  if (body.kind === 'repository-created') return fields.set('cluster', body.cluster);
  // Which timeline was the newest when this one began depends on when the store was there.
  if (body.kind === 'timeline-started') return fields.set('reason', body.reason);
  collect(body, '', fields, names);
  return fields;
}

function collect(
  value: unknown,
  path: string,
  into: Map<string, string>,
  names: ReadonlyMap<number, string>,
): void {
  if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value))
      collect(item, path === '' ? key : `${path}.${key}`, into, names);
    return;
  }
  const isTimeline = typeof value === 'number' && /(^|\.)timeline$/.test(path);
  into.set(path, isTimeline ? (names.get(value) ?? String(value)) : oneLine(String(value)));
}

function missingIn(
  lacking: CatalogView,
  holding: CatalogView,
  held: ReadonlyMap<string, Subject>,
  there: ReadonlyMap<string, Subject>,
): CatalogDifference[] {
  const [store, heldBy] = [lacking.store, holding.store];
  const names = timelineNames(holding);
  const lines = archivedByLine(lacking);
  return [...held].flatMap(([key, { entry }]): CatalogDifference[] => {
    if (there.has(key)) return [];
    const { body } = entry;
    const name = nameOf(entry);
    if (body.kind !== 'segment-archived') {
      return [{ kind: 'missing', store, heldBy, what: body.kind, name, gtids: '' }];
    }
    const gtids = oneLine(body.segment.gtids);
    return isCovered(body, names, lines)
      ? [{ kind: 'covered', store, heldBy, name, gtids }]
      : [{ kind: 'missing', store, heldBy, what: body.kind, name, gtids }];
  });
}

function contentDifference(
  stores: readonly [string, string],
  one: Subject,
  other: Subject | undefined,
): CatalogDifference[] {
  if (other === undefined) return [];
  const names = new Set([...one.fields.keys(), ...other.fields.keys()]);
  const fields = [...names].filter((field) => one.fields.get(field) !== other.fields.get(field)).sort();
  if (fields.length === 0) return [];
  const what = one.entry.body.kind;
  if (fields.every(isOfSealing)) return [{ kind: 'sealed-twice', stores, name: nameOf(one.entry) }];
  const ways = [one, other].map(({ entry }, index) => wayOf(entry, stores[index] ?? ''));
  const name = [nameOf(one.entry), ...ways.filter((way) => way !== '')].join(', ');
  return [{ kind: 'differs', stores, what, name, fields }];
}

/** Whom a handoff names, so that two of one epoch can be told apart; '' for all else. */
function wayOf({ body }: ListedEntry, store: string): string {
  if (body.kind !== 'handoff') return '';
  const { route } = body;
  const to =
    route.kind === 'source' ? `source ${route.to.source} (${route.to.serverUuid})` : `store ${route.to}`;
  return `in ${store} to ${to}`;
}

/** What sealing the same plaintext a second time changes. */
function isOfSealing(field: string): boolean {
  return field === 'object.lengthBytes' || field === 'object.sha256' || field === 'object.crc32';
}

/** The first place on each timeline where what both hold stands in another order. */
function orderDifferences(
  stores: readonly [string, string],
  a: readonly string[],
  b: readonly string[],
  subjects: ReadonlyMap<string, Subject>,
): CatalogDifference[] {
  const inA = new Set(a);
  const inB = new Set(b);
  const lineOf = (key: string) => subjects.get(key)?.fields.get('timeline') ?? '';
  const segments = (keys: readonly string[], others: ReadonlySet<string>) =>
    keys.filter((key) => key.startsWith('segment-archived|') && others.has(key));
  const first = Map.groupBy(segments(a, inB), lineOf);
  const second = Map.groupBy(segments(b, inA), lineOf);
  return [...first].flatMap(([line, keys]): CatalogDifference[] => {
    const others = second.get(line) ?? [];
    const at = keys.find((key, index) => others[index] !== key);
    const entry = at === undefined ? undefined : subjects.get(at)?.entry;
    return entry === undefined ? [] : [{ kind: 'other-order', stores, name: nameOf(entry) }];
  });
}
