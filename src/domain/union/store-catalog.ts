import type { BackupFacts, CatalogBody, HandoffRoute } from '../catalog-entry.ts';
import type { SegmentFacts, StoredObject } from '../segment.ts';

type BodyOf<Kind extends CatalogBody['kind']> = Extract<CatalogBody, { kind: Kind }>;

/** A binlog as one store's catalog names it. */
export interface ListedSegment {
  readonly sequence: number;
  readonly timeline: number;
  readonly segment: SegmentFacts;
  readonly object: StoredObject;
}

/** A handoff as one store's catalog has it; `epoch` is the one that it raised. */
export interface ListedHandoff {
  readonly sequence: number;
  readonly epoch: number;
  readonly route: HandoffRoute;
}

/** What the catalog of one store says, as far as plans need it. Lists are in catalog order. */
export interface StoreCatalog {
  readonly store: string;
  readonly repositoryId: string;
  readonly cluster: string;
  /** Of its last entry. */
  readonly sequence: number;
  readonly timelines: readonly Pick<BodyOf<'timeline-started'>, 'timeline' | 'serverUuid'>[];
  readonly segments: readonly ListedSegment[];
  readonly backups: readonly { readonly backup: BackupFacts; readonly object: StoredObject }[];
  readonly handoffs: readonly ListedHandoff[];
}

/** The epoch in which an entry was written: that of the last handoff before it. */
export function epochAt({ handoffs }: StoreCatalog, sequence: number): number {
  return handoffs.findLast((handoff) => handoff.sequence <= sequence)?.epoch ?? 1;
}
