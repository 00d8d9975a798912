import type { HandoffRoute } from '../catalog-entry.ts';
import type { ServerUuid } from '../identity.ts';

/** Who wants to write what a source brings. */
export interface Claimant {
  readonly source: string;
  readonly serverUuid: ServerUuid;
}

/** Whether a writer may begin, and in which epoch. */
export type Claim =
  /** It writes in this epoch from now on, and in no later one: a handoff ends its hold. */
  | { readonly kind: 'held'; readonly epoch: number }
  /** Its source was handed to another; taking the newest epoch would undo that. */
  | { readonly kind: 'handed-away'; readonly to: string; readonly epoch: number };

/**
 * Decides at the start of a writer whether it may take the epoch that the catalog has. The last handoff
 * that names its server decides: away from it, it is fenced until one comes back to it. A source that no
 * handoff names is not concerned.
 */
export function claimEpoch(
  catalog: {
    readonly epoch: number;
    /** In order. */
    readonly handoffs: readonly { readonly epoch: number; readonly route: HandoffRoute }[];
  },
  claimant: Claimant,
): Claim {
  for (const { epoch, route } of catalog.handoffs.toReversed()) {
    if (route.kind === 'store') continue;
    if (route.to.serverUuid === claimant.serverUuid) break;
    if (isFrom(route, claimant)) return { kind: 'handed-away', to: route.to.source, epoch };
  }
  return { kind: 'held', epoch: catalog.epoch };
}

function isFrom({ from }: Extract<HandoffRoute, { kind: 'source' }>, claimant: Claimant): boolean {
  return from.serverUuid === null ? from.source === claimant.source : from.serverUuid === claimant.serverUuid;
}
