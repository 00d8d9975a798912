import { condition } from '@temporalio/workflow';
import type { Discovery } from '../src/archiving/discovery.ts';
import { AppError } from '../src/domain/errors.ts';
import { standsBy } from '../src/domain/routing/hold.ts';
import { hostActivities } from './archive-activities.ts';
import type { ArchiveEntity } from './archive-entity.ts';

/**
 * Takes the epoch of the archive where this entity has none, and keeps it from then on, also in the
 * next run: read again on the way, a handoff would be undone by the writer that it fences. Asked again
 * only where a handoff was made, another source switched stores, or a store that could not be asked answers.
 *
 * @throws refused `HandedAway` where the source was handed to another, `InReserve` where nothing was handed to
 *   it yet: asked again by the next round
 */
export async function claimOnce(entity: ArchiveEntity, host: string): Promise<void> {
  if (entity.reclaimAsked || entity.hold.kind !== 'held' || isAnswerDue(entity)) {
    const stores = entity.stores.map(({ store, policy, circuit }) => ({
      store,
      policy,
      access: circuit.kind === 'closed' ? ('open' as const) : ('held-back' as const),
    }));
    const { claim, standIns, unasked, boundaries } = await hostActivities(host).claimHold({
      ...entity.input,
      stores,
      boundaries: entity.boundaries,
    });
    // What was refused because another source held the archive is judged anew, now that this one does.
    if (claim.kind === 'held' && isStandingBy(entity))
      entity.deadLetters = entity.deadLetters.filter(({ foundBy }) => foundBy !== 'fence');
    // Until the answer is here, what is under way goes on in the old epoch, or is refused.
    entity.hold = claim;
    entity.unasked = unasked;
    entity.reclaimAsked = false;
    entity.standIns = standIns;
    entity.boundaries = boundaries;
  }
  const why = standsBy(entity.input.source, entity.hold);
  if (why !== null) throw why;
}

/**
 * Has it asked anew who may write where another source of the cluster has switched the stores, so that the catalogs are
 * beyond the epoch of this one. An entry would be refused there, and until one is to be written this source would go by
 * stores that do not count any more.
 */
export function noteSwitched(entity: ArchiveEntity, found: Pick<Discovery, 'stores' | 'standIns'>): void {
  const { hold, standIns } = entity;
  if (hold.kind !== 'held') return;
  const isBeyond = found.stores.some(({ status, epoch }) => status === 'read' && (epoch ?? 0) > hold.epoch);
  const isOther =
    found.standIns.length !== standIns.length ||
    found.standIns.some(({ from, to }) => !standIns.some((it) => it.from === from && it.to === to));
  if (isBeyond && isOther) entity.reclaimAsked = true;
}

/** True where a store may be asked that could not be when the epoch was taken: a handoff may stand there. */
function isAnswerDue({ unasked, stores }: ArchiveEntity): boolean {
  return stores.some(({ store, circuit }) => unasked.includes(store) && circuit.kind === 'closed');
}

/** True where another source holds the archive, and this one waits. */
export function isStandingBy({ hold }: ArchiveEntity): boolean {
  return hold.kind === 'handed-away' || hold.kind === 'in-reserve';
}

/** Waits while the stores are being switched: what is written meanwhile would be fenced. */
export async function switchDone(entity: ArchiveEntity): Promise<void> {
  await condition(() => entity.switching === 'no');
}

/** The source with the epoch in which it is written. */
export function held(entity: ArchiveEntity) {
  const { input, hold } = entity;
  if (hold.kind === 'held') return { ...input, epoch: hold.epoch };
  throw new AppError({
    code: 'WriterWithoutHold',
    kind: 'bug',
    message: `An entry for ${input.source} was to be written before its epoch was claimed, so it was not.`,
  });
}

/** Gives up an epoch that a handoff has ended: the next round asks whether the source may be written at all. */
export function noteFence(entity: ArchiveEntity, error: AppError): void {
  if (error.code === 'StaleEpoch') entity.hold = { kind: 'unclaimed' };
}
