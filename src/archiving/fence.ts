import type { CatalogState } from '../catalog/fold.ts';
import type { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { ServerUuid } from '../domain/identity.ts';
import { HEIRS_HAVE_IT } from '../domain/refused-binlog.ts';
import { oneLine } from '../domain/routing/catalog-view.ts';
import { type Claim, claimEpoch } from '../domain/routing/hold.ts';
import type { SegmentFacts } from '../domain/segment.ts';
import { newestLine } from './line.ts';
import { segmentRefused } from './refusals.ts';

/** The handoff that took the archive away from a server; null where it may be archived. */
export function fenceOf(
  state: CatalogState,
  serverUuid: ServerUuid,
): Extract<Claim, { kind: 'handed-away' }> | null {
  const claimant = { source: '', serverUuid, role: 'archived' } as const;
  const claim = claimEpoch({ epoch: state.epoch, handoffs: state.handoffs() }, claimant);
  return claim.kind === 'handed-away' ? claim : null;
}

/** Whether a log of this server may be archived where the archive stands now. */
export type SegmentFence =
  | { readonly kind: 'free' }
  /** Its server was handed away, and its transactions lie archived in logs of the heirs. */
  | { readonly kind: 'recognized'; readonly timeline: number };

/**
 * Judges a log by the server that wrote it, not by the one that its source is now: logs of an earlier
 * server lie staged when the source has got another one, and a handoff may have taken the archive
 * away from that earlier one.
 * @throws refused `HandedAway` with the transactions that no heir has brought: judged anew in every round
 */
export function judgeFence(state: CatalogState, segment: SegmentFacts): SegmentFence {
  const { serverUuid, binlog } = segment;
  const claim = fenceOf(state, serverUuid);
  if (claim === null) return { kind: 'free' };
  const timeline = timelineOf(state, segment, claim.epoch);
  const held = timeline === null ? GtidSet.EMPTY : state.archivedThrough(timeline);
  const lost = GtidSet.parse(segment.gtids).subtract(held);
  if (timeline !== null && lost.isEmpty && segment.anonymousTransactions === 0)
    return { kind: 'recognized', timeline };
  const lostGtids = oneLine(lost.toString());
  throw segmentRefused(segment, {
    code: 'HandedAway',
    kind: 'refused',
    message: `${binlog} was written by server ${serverUuid}, which was handed to ${claim.to} in epoch ${claim.epoch}: it holds ${lostGtids === '' ? 'transactions without a GTID' : lostGtids}, which is not archived from there (yet), so it is in no history that goes on.`,
    hint: `Where ${claim.to} has them, wait until they are archived. Else keep the file if they matter, and leave it out: pitrail archive --accept-gap.`,
    facts: { lostGtids, epoch: claim.epoch },
  });
}

/** A log that is not stored, because other servers' logs brought all of it: it can be released. */
export function heirsHaveIt(segment: SegmentFacts): AppError {
  return segmentRefused(segment, {
    code: HEIRS_HAVE_IT,
    kind: 'refused',
    message: `${segment.binlog} was written by a server that was handed away, and its heirs have brought all of it, so it is not stored again.`,
    hint: 'Nothing to do: it is removed from the staging folder.',
  });
}

/** The timeline that the heir went on with; null where it began one of its own and the server had none. */
function timelineOf(state: CatalogState, { serverUuid }: SegmentFacts, epoch: number): number | null {
  const route = state.handoffs().find((it) => it.epoch === epoch)?.route;
  if (route?.kind === 'source' && route.continuity.kind === 'continues') return route.continuity.timeline;
  return newestLine(state, serverUuid)?.timeline ?? null;
}
