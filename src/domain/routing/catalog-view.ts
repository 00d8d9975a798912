import type { CatalogBody } from '../catalog-entry.ts';
import { GtidSet } from '../gtid-set.ts';

/** One entry of a catalog, as far as catalogs are compared by it. */
export interface ListedEntry {
  readonly sequence: number;
  readonly epoch: number;
  readonly body: CatalogBody;
}

/** The catalog of one store, whole and in order. */
export interface CatalogView {
  readonly store: string;
  readonly repositoryId: string;
  readonly entries: readonly ListedEntry[];
}

/** The body of one kind. */
export type BodyOf<Kind extends CatalogBody['kind']> = Extract<CatalogBody, { kind: Kind }>;

/** All GTIDs that the segments of a catalog hold, on whatever timeline. */
export function archivedGtids({ entries }: CatalogView): GtidSet {
  return GtidSet.unionAll(
    entries.flatMap(({ body }) =>
      body.kind === 'segment-archived' ? [GtidSet.parse(body.segment.gtids)] : [],
    ),
  );
}

/** What the segments of each timeline hold, by the timeline's name. */
export function archivedByLine(view: CatalogView): ReadonlyMap<string, GtidSet> {
  const names = timelineNames(view);
  const sets = new Map<string, GtidSet[]>();
  for (const { body } of view.entries) {
    if (body.kind !== 'segment-archived') continue;
    const name = lineName(names, body.timeline);
    const own = sets.get(name);
    const gtids = GtidSet.parse(body.segment.gtids);
    if (own === undefined) sets.set(name, [gtids]);
    else own.push(gtids);
  }
  return new Map([...sets].map(([name, gtids]) => [name, GtidSet.unionAll(gtids)]));
}

/** True where a store holds all transactions of a segment in other logs of the same timeline. */
export function isCovered(
  { timeline, segment }: BodyOf<'segment-archived'>,
  names: ReadonlyMap<number, string>,
  held: ReadonlyMap<string, GtidSet>,
): boolean {
  if (segment.anonymousTransactions > 0) return false;
  return GtidSet.parse(segment.gtids).isSubsetOf(held.get(lineName(names, timeline)) ?? GtidSet.EMPTY);
}

function lineName(names: ReadonlyMap<number, string>, timeline: number): string {
  return names.get(timeline) ?? `timeline ${timeline}`;
}

/**
 * What a timeline is, in any store: the how-manieth of its server. Stores number timelines as they
 * come, so one that was away for long may number them otherwise.
 */
export function timelineNames({ entries }: CatalogView): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  const counts = new Map<string, number>();
  for (const { body } of entries) {
    if (body.kind !== 'timeline-started') continue;
    const count = (counts.get(body.serverUuid) ?? 0) + 1;
    counts.set(body.serverUuid, count);
    names.set(body.timeline, `${body.serverUuid}#${count}`);
  }
  return names;
}

/** What an entry is about, the same in every store; entries of one subject should say the same. */
export function subjectOf({ body, epoch }: ListedEntry, names: ReadonlyMap<number, string>): string {
  const timeline = (number: number) => lineName(names, number);
  switch (body.kind) {
    case 'repository-created':
      return 'the repository';
    case 'timeline-started':
      return timeline(body.timeline);
    case 'segment-archived': {
      const { serverUuid, binlog, createdAt, firstCommit, previousGtids } = body.segment;
      return [serverUuid, binlog, createdAt, firstCommit ?? '', oneLine(previousGtids)].join('|');
    }
    case 'segment-refused':
      return [body.serverUuid, body.binlog, body.reason, body.detail].join('|');
    case 'backup-registered':
      return body.backup.backupId;
    case 'gap-accepted':
      return `${timeline(body.timeline)}|${oneLine(body.missingGtids)}`;
    case 'handoff':
      return `epoch ${epoch}`;
    case 'handoff-validated':
      return `epoch ${body.handoffEpoch}: ${body.verdict}`;
  }
}

/** How an entry is called in a sentence. */
export function nameOf({ body, epoch }: ListedEntry): string {
  switch (body.kind) {
    case 'repository-created':
      return 'the first entry';
    case 'timeline-started':
      return `timeline ${body.timeline} of ${body.serverUuid}`;
    case 'segment-archived':
      return `${body.segment.binlog} of ${body.segment.serverUuid} (created ${body.segment.createdAt})`;
    case 'segment-refused':
      return `the refusal of ${body.binlog} of ${body.serverUuid} (${body.reason})`;
    case 'backup-registered':
      return `base backup ${body.backup.backupId}`;
    case 'gap-accepted':
      return `the accepted gap ${oneLine(body.missingGtids)} on timeline ${body.timeline}`;
    case 'handoff':
      return `the handoff of epoch ${epoch}`;
    case 'handoff-validated':
      return `the result of the handoff of epoch ${body.handoffEpoch}`;
  }
}

/** A GTID set in canonical text without the server's line feeds. */
export function oneLine(gtids: string): string {
  return gtids.replaceAll('\n', '');
}
