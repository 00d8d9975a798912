import type { AppendBy, Catalog, Judgement } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import type { LogPlace } from '../domain/archive-line.ts';
import type { CatalogBody } from '../domain/catalog-entry.ts';
import { AppError, assertNever } from '../domain/errors.ts';
import type { SegmentFacts, StoredObject } from '../domain/segment.ts';
import { judgeSegment } from '../domain/segment-judgement.ts';
import { faultPoint } from '../process/fault.ts';
import { judgeFence, type SegmentFence } from './fence.ts';
import { newestLine, nextTimeline } from './line.ts';
import { segmentRefused } from './refusals.ts';

/** How often a commit starts over because another writer changed the catalog under it. */
const MAX_ATTEMPTS = 20;

/** Writes entries in the name of this process, always in the epoch that it claimed when it began. */
export type Signature = () => AppendBy;

/**
 * Names a segment in a store's catalog: that is when it counts as archived there. The segment is
 * judged against the catalog as it is now; where it starts a timeline, that is written first. Can
 * be run again: what stands is left. A crash between the two entries leaves a timeline without
 * segments, on which the next try goes on.
 *
 * A log whose server was handed away is never added; where its heirs have all of it, it counts as dealt with.
 *
 * @returns the timeline on which the segment lies
 * @throws refused, corrupt or conflict where the segment cannot follow what is archived
 */
export async function commitSegment(
  catalog: Catalog,
  segment: SegmentFacts,
  object: StoredObject,
  sign: Signature,
): Promise<number> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const state = await catalog.read();
    const by = sign();
    const step = nextStep(state, segment, object, by.epoch);
    if (step.kind === 'done') return step.timeline;
    await catalog.append(step.body, by, (now) => stillValid(now, segment, object, by.epoch, step.body));
    if (step.body.kind === 'segment-archived') faultPoint('archive.committed');
  }
  throw new AppError({
    code: 'CommitContended',
    kind: 'unavailable',
    message: `${segment.binlog} was not committed: other writers changed the catalog of ${catalog.store.location} ${MAX_ATTEMPTS} times meanwhile.`,
    hint: 'Check that only one worker archives this source.',
  });
}

type Step =
  | { readonly kind: 'done'; readonly timeline: number }
  | {
      readonly kind: 'append';
      readonly body: Extract<CatalogBody, { kind: 'segment-archived' | 'timeline-started' }>;
    };

/** What the catalog lacks of this segment. */
function nextStep(state: CatalogState, segment: SegmentFacts, object: StoredObject, epoch: number): Step {
  const standing = standingTimeline(state, segment);
  if (standing !== null) return { kind: 'done', timeline: standing };
  // A writer of an older epoch is fenced itself, which the append tells it.
  const fence: SegmentFence = epoch === state.epoch ? judgeFence(state, segment) : { kind: 'free' };
  if (fence.kind === 'recognized') return { kind: 'done', timeline: fence.timeline };
  const judgement = judgeSegment(newestLine(state, segment.serverUuid), segment);
  switch (judgement.kind) {
    case 'already-archived':
      return { kind: 'done', timeline: judgement.timeline };
    case 'anonymous':
      return stepAt(judgement.place, state, segment, object);
    case 'other-content':
      throw segmentRefused(segment, {
        code: 'SegmentConflict',
        kind: 'conflict',
        message: judgement.detail,
        hint: 'Compare the archived object with the file on the server; accept the gap to leave the file out.',
      });
    case 'contradiction':
      throw segmentRefused(segment, {
        code: 'SegmentContradiction',
        kind: 'corrupt',
        message: judgement.detail,
        hint: 'Compare the file with the server; accept the gap to leave it out.',
      });
    default:
      return stepAt(judgement, state, segment, object);
  }
}

/** Where this very log is archived, on whatever timeline: a commit may come twice, and late. */
function standingTimeline(
  state: CatalogState,
  { serverUuid, binlog, createdAt, sha256 }: SegmentFacts,
): number | null {
  const same = state
    .segmentsOf(serverUuid)
    .find(
      (it) =>
        it.segment.sha256 === sha256 && it.segment.binlog === binlog && it.segment.createdAt === createdAt,
    );
  return same?.timeline ?? null;
}

function stepAt(place: LogPlace, state: CatalogState, segment: SegmentFacts, object: StoredObject): Step {
  switch (place.kind) {
    case 'continues':
      return {
        kind: 'append',
        body: { kind: 'segment-archived', timeline: place.timeline, segment, object },
      };
    case 'starts-timeline':
      return startTimeline(place, state, segment);
    case 'gap':
      throw segmentRefused(segment, {
        code: 'ArchiveGap',
        kind: 'refused',
        message: place.detail,
        hint: 'Accept the gap (pitrail archive --accept-gap) and take a base backup.',
        facts: { missingGtids: place.missingGtids, timeline: place.timeline },
      });
    case 'late':
      throw segmentRefused(segment, {
        code: 'SegmentLate',
        kind: 'refused',
        message: place.detail,
        hint: 'Its gap was accepted before; remove it from the staging folder.',
      });
    default:
      return assertNever(place);
  }
}

function startTimeline(
  place: Extract<LogPlace, { kind: 'starts-timeline' }>,
  state: CatalogState,
  segment: SegmentFacts,
): Step {
  const { serverUuid } = segment;
  const timeline = nextTimeline(state);
  const newest = timeline - 1;
  return {
    kind: 'append',
    body: {
      kind: 'timeline-started',
      timeline,
      parent: place.after ?? (newest === 0 ? null : newest),
      serverUuid,
      reason: place.reason,
      detail: place.detail,
    },
  };
}

/** Asked again when another writer came first: the very same step must still be the next one. */
function stillValid(
  state: CatalogState,
  segment: SegmentFacts,
  object: StoredObject,
  epoch: number,
  body: Extract<Step, { kind: 'append' }>['body'],
): Judgement {
  const step = nextStep(state, segment, object, epoch);
  const same = step.kind === 'append' && step.body.kind === body.kind && step.body.timeline === body.timeline;
  // `stands` ends the append without writing; the loop then looks at the catalog anew.
  return same ? { decision: 'append' } : { decision: 'stands', sequence: state.head.sequence };
}
