import type { ErrorKind } from '../../domain/errors.ts';
import { type CatalogComparison, isMaterial } from '../../domain/routing/compare.ts';
import type { SyncObstacle } from '../../domain/routing/sync-plan.ts';
import type { ObjectFinding } from '../../syncing/look-at-object.ts';
import type { Inspection, LostObject } from '../../syncing/mend-objects.ts';
import type { SyncResult } from '../../syncing/sync-stores.ts';
import { judgeFinding } from '../verify/judge.ts';
import { formatBytes, formatCount } from '../words.ts';
import { wordsOf } from './obstacles.ts';

/** What lies in the other store, as a look at each object that its catalog names found it. */
export interface Inspected {
  /** How many objects were looked at, and of how many the store says the checksum, or the length alone. */
  readonly looked: Pick<Inspection, 'objects' | 'byChecksum' | 'byLength'>;
  /** Keys of objects that had been removed and are to be had from the first store. */
  readonly putBack: readonly string[];
  /** Keys of those that are not to be had from there either. */
  readonly lacking: readonly string[];
  readonly changed: readonly ObjectFinding[];
}

/** What was done, and what lies in the other store. */
export interface Synced extends SyncResult, Inspected {}

/** What would be done. */
export interface PlannedSync extends Inspected {
  readonly from: string;
  readonly to: string;
  readonly entries: number;
  readonly objects: number;
  readonly bytes: number;
  readonly steps: readonly { readonly name: string; readonly key: string | null }[];
  readonly obstacles: readonly SyncObstacle[];
}

/** An inspection as it is told. Pure. */
export function inspectedIn({ lost, changed, objects, byChecksum, byLength }: Inspection): Inspected {
  const keysOf = (elsewhere: LostObject['elsewhere']) =>
    lost.filter((it) => it.elsewhere === elsewhere).map(({ object }) => object.key);
  const looked = { objects, byChecksum, byLength };
  return { looked, putBack: keysOf('same-bytes'), lacking: keysOf('none'), changed };
}

/** How bad it is what was found beside what was put back. Pure. */
export function kindsOf({ lacking, changed }: Pick<Inspected, 'lacking' | 'changed'>): ErrorKind[] {
  return [...lacking.map((): ErrorKind => 'refused'), ...changed.map((): ErrorKind => 'corrupt')];
}

/** What the store `to` lacks all the same; what the first one lacks is another sync. Pure. */
export function stillMissing(to: string, { differences }: CatalogComparison): ErrorKind[] {
  const lacks = differences.some((it) => it.kind === 'missing' && it.store === to && isMaterial(it));
  return lacks ? ['refused'] : [];
}

/** What would be done, in words. */
export function describePlan(plan: PlannedSync): string {
  const { from, to, entries, objects, bytes, steps, putBack, obstacles, looked } = plan;
  return [
    `${to} lacks ${formatCount(entries, 'entry', 'entries')} of ${from}, with ${formatCount(objects, 'object')} of ${formatBytes(bytes)}`,
    ...steps.map(({ name, key }) => `  ${name}${key === null ? '' : `: ${key}`}`),
    ...putBack.map((key) => `  removed from ${to}, to be put back: ${key}`),
    ...problemsOf(from, to, plan),
    ...obstacles.map((obstacle) => `problem: ${wordsOf(obstacle)}`),
    ...describeLooks(to, looked),
  ].join('\n');
}

/** What was done, in words: of the bytes no more is claimed than was compared. */
export function describeSync(from: string, to: string, result: Synced): string {
  const { entries, objects, bytes, putBack, lacking, changed, obstacles, comparison } = result;
  const behind = comparison.differences.filter(
    (it) => it.kind === 'missing' && it.store === from && isMaterial(it),
  );
  const isEqual = comparison.verdict === 'equal' && lacking.length === 0 && changed.length === 0;
  return [
    `${to} got ${formatCount(entries, 'entry', 'entries')}, with ${formatCount(objects, 'object')} of ${formatBytes(bytes)}${objects === 0 ? '' : ', read back whole'}`,
    ...putBack.map((key) => `${to} got back ${key}, which had been removed there; read back whole`),
    ...problemsOf(from, to, result),
    ...obstacles.map((obstacle) => `problem: ${wordsOf(obstacle)}`),
    ...(isEqual ? [`the catalogs of ${from} and ${to} name the same GTIDs and the same digests`] : []),
    ...describeLooks(to, result.looked),
    ...(behind.length === 0
      ? []
      : [
          `${from} lacks ${formatCount(behind.length, 'entry', 'entries')} that ${to} has: pitrail sync --from ${to} --to ${from}`,
        ]),
  ].join('\n');
}

function describeLooks(to: string, { byChecksum, byLength }: Inspected['looked']): string[] {
  const look = (objects: number, what: string) => `  ${formatCount(objects, 'object')} in ${to}: ${what}`;
  return [
    ...(byChecksum === 0
      ? []
      : [look(byChecksum, 'there, with the length and the checksum, as the store itself says')]),
    ...(byLength === 0
      ? []
      : [
          look(
            byLength,
            `there, with the length; that no byte was changed proves only pitrail verify --deep --store ${to}`,
          ),
        ]),
  ];
}

function problemsOf(from: string, to: string, { lacking, changed }: Inspected): string[] {
  return [
    ...lacking.map((key) => `problem: ${key} was removed from ${to}, and ${from} does not have these bytes.`),
    ...changed.map((finding) => {
      const { message, hint } = judgeFinding(to, finding);
      return `problem: ${message}\n  hint: ${hint}`;
    }),
  ];
}
