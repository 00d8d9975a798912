import { type Repositories, repositoryIn, signAs, wallClock } from '../archiving/repositories.ts';
import type { Judgement } from '../catalog/catalog.ts';
import type { CatalogState, Handoff } from '../catalog/fold.ts';
import type { HandoffReason, HandoffRoute } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { oneLine } from '../domain/routing/catalog-view.ts';
import { faultPoint } from '../process/fault.ts';
import { coveredOn } from './covered.ts';

type SourceRoute = Extract<HandoffRoute, { kind: 'source' }>;

/** The boundary of a handoff as one store gets it. Plain JSON. */
export interface BoundaryEntry {
  readonly store: string;
  readonly epoch: number;
  readonly route: SourceRoute;
  readonly reason: HandoffReason;
  readonly detail: string;
  /**
   * `fences`: the first store, which ends the hold of the old writer: what it archived up to this
   * entry must be on the new source. `follows`: the old writer is fenced already.
   */
  readonly place: 'fences' | 'follows';
  /** What the new source had executed when the handoff was decided. */
  readonly executedGtids: string;
}

/**
 * Writes the boundary into one store's catalog. Can be run again: what stands is left. A crash leaves
 * the entry or nothing.
 * @throws conflict `BoundaryOutdated` where the old writer archived something meanwhile that the new
 *   source has not got: decide anew; conflict `HandoffSuperseded`, `StaleEpoch` where another handoff came first
 */
export async function writeBoundary(repositories: Repositories, entry: BoundaryEntry): Promise<void> {
  const { store, epoch, route, reason, detail } = entry;
  const { catalog } = repositoryIn(repositories, store);
  await catalog.read();
  const by = signAs({ role: 'handoff', source: route.to.source, epoch }, wallClock)();
  await catalog.append({ kind: 'handoff', route, reason, detail }, by, (state) => judge(state, entry));
  faultPoint('handoff.boundary-written');
}

/** The state that is judged is the one in front of the entry: its creation is a compare-and-swap. */
function judge(state: CatalogState, entry: BoundaryEntry): Judgement {
  const standing = state.handoffs().find(({ epoch }) => epoch === entry.epoch);
  if (standing !== undefined) return standsAs(standing, entry);
  const { continuity } = entry.route;
  if (entry.place === 'fences' && continuity.kind === 'continues') {
    const lacking = coveredOn(state, continuity.timeline).subtract(GtidSet.parse(entry.executedGtids));
    if (!lacking.isEmpty) throw outdated(entry, oneLine(lacking.toString()));
  }
  return { decision: 'append' };
}

function standsAs({ sequence, route }: Handoff, entry: BoundaryEntry): Judgement {
  const isSame =
    route.kind === 'source' &&
    route.to.source === entry.route.to.source &&
    route.to.serverUuid === entry.route.to.serverUuid;
  if (isSame) return { decision: 'stands', sequence };
  throw new AppError({
    code: 'HandoffSuperseded',
    kind: 'conflict',
    message: `Another handoff took epoch ${entry.epoch} in ${entry.store} first, so this one was not made there.`,
    hint: 'See who holds the archive now: pitrail status. Then decide anew.',
    facts: { store: entry.store, epoch: entry.epoch },
  });
}

function outdated({ store, route }: BoundaryEntry, gtids: string): AppError {
  return new AppError({
    code: 'BoundaryOutdated',
    kind: 'conflict',
    message: `${route.from.source} archived ${gtids} in ${store} while the handoff was decided, and ${route.to.source} had not got that, so no boundary was written.`,
    hint: 'Nothing to do: it is decided anew.',
    facts: { store, gtids },
  });
}
