import type { HandoffRoute } from '../catalog-entry.ts';
import type { MergedTimeline } from './timeline-matcher.ts';

/** A handoff, in whatever stores it stands. */
export interface MergedHandoff {
  readonly epoch: number;
  readonly route: HandoffRoute;
  /** null where it continues none. */
  readonly timeline: MergedTimeline | null;
  readonly stores: string[];
}
