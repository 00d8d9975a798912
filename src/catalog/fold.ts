import type { BackupFacts, CatalogBody, CatalogEntry } from '../domain/catalog-entry.ts';
import { AppError, assertNever } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { BackupId, RepositoryId, ServerUuid } from '../domain/identity.ts';
import type { SegmentFacts, StoredObject } from '../domain/segment.ts';
import type { CatalogHead, ChainPoint } from './chain.ts';
import type { DigestedEntry } from './entry-codec.ts';

type BodyOf<Kind extends CatalogBody['kind']> = Omit<Extract<CatalogBody, { kind: Kind }>, 'kind'>;

/** When an entry was written, and as which. */
interface Written {
  readonly sequence: number;
  /** RFC 3339 UTC. */
  readonly writtenAt: string;
}

export type ArchivedSegment = Written & {
  /** `host/process id/role`, and `/source` where it was written for one. */
  readonly writer: string;
  readonly timeline: number;
  readonly segment: SegmentFacts;
  readonly object: StoredObject;
};
export type RegisteredBackup = Written & { readonly backup: BackupFacts; readonly object: StoredObject };
export type Timeline = Written & BodyOf<'timeline-started'>;
export type SegmentRefusal = Written & BodyOf<'segment-refused'>;
export type AcceptedGap = Written & BodyOf<'gap-accepted'>;
/** `epoch` is the one that it raised. */
export type Handoff = Written & { readonly epoch: number } & BodyOf<'handoff'>;
export type HandoffResult = Written & BodyOf<'handoff-validated'>;

interface Folded {
  readonly segments: readonly ArchivedSegment[];
  readonly backups: readonly RegisteredBackup[];
  readonly timelines: readonly Timeline[];
  readonly refusals: readonly SegmentRefusal[];
  readonly gaps: readonly AcceptedGap[];
  readonly handoffs: readonly Handoff[];
  readonly handoffResults: readonly HandoffResult[];
}

const NOTHING: Folded = {
  segments: [],
  backups: [],
  timelines: [],
  refusals: [],
  gaps: [],
  handoffs: [],
  handoffResults: [],
};

interface Identity {
  readonly repositoryId: RepositoryId;
  readonly cluster: string;
  readonly createdAt: string;
}

/**
 * What a catalog says, folded from its entries; immutable, and pure. Lists are in catalog order,
 * which for segments is the order in which they were committed.
 */
export class CatalogState {
  readonly repositoryId: RepositoryId;
  readonly cluster: string;
  /** RFC 3339 UTC. */
  readonly createdAt: string;
  readonly head: CatalogHead;
  readonly epoch: number;
  readonly #folded: Folded;
  readonly #byTimeline: Map<number, ArchivedSegment[]>;
  readonly #byServer: Map<string, ArchivedSegment[]>;
  readonly #archived = new Map<number, GtidSet>();

  private constructor(identity: Identity, point: ChainPoint, folded: Folded) {
    this.repositoryId = identity.repositoryId;
    this.cluster = identity.cluster;
    this.createdAt = identity.createdAt;
    this.head = point.head;
    this.epoch = point.epoch;
    this.#folded = folded;
    this.#byTimeline = Map.groupBy(folded.segments, (archived) => archived.timeline);
    this.#byServer = Map.groupBy(folded.segments, (archived) => archived.segment.serverUuid);
  }

  /** Folds verified entries onto a state; without one, the first entry must be `repository-created`. */
  static fold(onto: CatalogState | null, entries: readonly DigestedEntry[]): CatalogState {
    const last = entries.at(-1);
    if (last === undefined) return onto ?? missingFirst();
    const point: ChainPoint = {
      head: { sequence: last.entry.sequence, sha256: last.sha256 },
      repositoryId: last.entry.repositoryId,
      epoch: last.entry.epoch,
    };
    const identity = onto ?? identityOf(entries[0]?.entry);
    return new CatalogState(identity, point, foldBodies(onto === null ? NOTHING : onto.#folded, entries));
  }

  /** Segments of one timeline, in order. */
  segments(timeline: number): readonly ArchivedSegment[] {
    return this.#byTimeline.get(timeline) ?? [];
  }

  /** Segments of all timelines, in catalog order. */
  allSegments(): readonly ArchivedSegment[] {
    return this.#folded.segments;
  }

  /** Segments that one server wrote, on whatever timeline, in catalog order. */
  segmentsOf(serverUuid: ServerUuid): readonly ArchivedSegment[] {
    return this.#byServer.get(serverUuid) ?? [];
  }

  backups(): readonly RegisteredBackup[] {
    return this.#folded.backups;
  }

  backup(backupId: BackupId): RegisteredBackup | undefined {
    return this.#folded.backups.find(({ backup }) => backup.backupId === backupId);
  }

  timelines(): readonly Timeline[] {
    return this.#folded.timelines;
  }

  /** Every refusal ever written, also of binlogs that were archived later. */
  refusals(): readonly SegmentRefusal[] {
    return this.#folded.refusals;
  }

  /**
   * The dead-letter list: the last refusal of each binlog that was not archived after it, and whose
   * server had no gap accepted after it. Those wait for an operator.
   */
  deadLetters(): readonly SegmentRefusal[] {
    const last = new Map(this.#folded.refusals.map((it) => [`${it.serverUuid}/${it.binlog}`, it]));
    return [...last.values()].filter(({ serverUuid, binlog, sequence }) => {
      const archived = this.segmentsOf(serverUuid).some(
        (it) => it.segment.binlog === binlog && it.sequence > sequence,
      );
      return (
        !archived &&
        !this.#folded.gaps.some((gap) => gap.serverUuid === serverUuid && gap.sequence > sequence)
      );
    });
  }

  acceptedGaps(): readonly AcceptedGap[] {
    return this.#folded.gaps;
  }

  /** Every handoff, in order; each raised the epoch by one. */
  handoffs(): readonly Handoff[] {
    return this.#folded.handoffs;
  }

  handoffResults(): readonly HandoffResult[] {
    return this.#folded.handoffResults;
  }

  /** All GTIDs that the segments of a timeline hold. Gaps that were accepted are not in it. */
  archivedThrough(timeline: number): GtidSet {
    const known = this.#archived.get(timeline);
    if (known !== undefined) return known;
    const sets = this.segments(timeline).map(({ segment }) => GtidSet.parse(segment.gtids));
    const union = GtidSet.unionAll(sets);
    this.#archived.set(timeline, union);
    return union;
  }
}

/** Where the chain of a state stands. */
export function pointOf(state: CatalogState): ChainPoint {
  return { head: state.head, repositoryId: state.repositoryId, epoch: state.epoch };
}

function foldBodies(onto: Folded, entries: readonly DigestedEntry[]): Folded {
  const segments = [...onto.segments];
  const backups = [...onto.backups];
  const timelines = [...onto.timelines];
  const refusals = [...onto.refusals];
  const gaps = [...onto.gaps];
  const handoffs = [...onto.handoffs];
  const handoffResults = [...onto.handoffResults];
  for (const { entry } of entries) {
    const written: Written = { sequence: entry.sequence, writtenAt: entry.writtenAt };
    const { body } = entry;
    switch (body.kind) {
      case 'repository-created':
        break;
      case 'segment-archived':
        segments.push({
          ...written,
          writer: entry.writer,
          timeline: body.timeline,
          segment: body.segment,
          object: body.object,
        });
        break;
      case 'backup-registered':
        backups.push({ ...written, backup: body.backup, object: body.object });
        break;
      case 'timeline-started':
        timelines.push({ ...written, ...withoutKind(body) });
        break;
      case 'segment-refused':
        refusals.push({ ...written, ...withoutKind(body) });
        break;
      case 'gap-accepted':
        gaps.push({ ...written, ...withoutKind(body) });
        break;
      case 'handoff':
        handoffs.push({ ...written, epoch: entry.epoch, ...withoutKind(body) });
        break;
      case 'handoff-validated':
        handoffResults.push({ ...written, ...withoutKind(body) });
        break;
      default:
        assertNever(body);
    }
  }
  return { segments, backups, timelines, refusals, gaps, handoffs, handoffResults };
}

function withoutKind<Body extends { readonly kind: string }>(body: Body): Omit<Body, 'kind'> {
  const { kind: _kind, ...rest } = body;
  return rest;
}

function identityOf(entry: CatalogEntry | undefined): Identity {
  if (entry?.body.kind !== 'repository-created') return missingFirst();
  return { repositoryId: entry.repositoryId, cluster: entry.body.cluster, createdAt: entry.writtenAt };
}

function missingFirst(): never {
  throw new AppError({
    code: 'CatalogFoldWithoutFirst',
    kind: 'bug',
    message: 'A catalog was folded without its first entry, so it is unknown to which cluster it belongs.',
  });
}
