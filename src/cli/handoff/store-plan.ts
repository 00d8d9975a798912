import type { ArchiveStatus } from '../../../workflows/contracts/archive.ts';
import type { ClusterConfig, PitrailConfig } from '../../config/types.ts';
import { AppError, EXIT_CODES } from '../../domain/errors.ts';
import { askStoreHandoff, type StoreHandoffQuestion } from '../../domain/routing/ask-store-handoff.ts';
import type { StoreHandoffStep } from '../../domain/routing/store-handoff.ts';
import { askWorkflows } from '../status/ask-workflows.ts';
import { wordsOf } from '../status/stand-ins.ts';
import { shortGtids } from '../words.ts';

/** What would be done about a store, for each source that is archived. */
export interface StoreHandoffAnswer {
  readonly cluster: string;
  readonly store: string;
  readonly sources: readonly { readonly source: string; readonly step: StoreHandoffStep }[];
}

/**
 * Asks the workflows what they know of the stores, and decides as they would. Changes nothing.
 *
 * @throws refused `StoreNotRequired`; unavailable `StoresNotKnown` where no workflow can say
 */
export async function planStoreSwitch(
  cluster: ClusterConfig,
  config: Pick<PitrailConfig, 'temporal' | 'region'>,
  question: StoreHandoffQuestion,
): Promise<StoreHandoffAnswer> {
  if (cluster.stores.find(({ id }) => id === question.store)?.policy !== 'required')
    throw notRequired(question);
  const answers = await askWorkflows(cluster, config);
  const sources = answers.flatMap((answer) => {
    if (answer.status !== 'running') return [];
    const step = stepOf(answer.archive, question);
    return step === null ? [] : [{ source: answer.archive.source, step }];
  });
  if (sources.length === 0) throw notKnown(question.store);
  return { cluster: cluster.name, store: question.store, sources };
}

/** Null where the workflow has not seen all that counts yet. */
function stepOf(
  { stores, standIns, acknowledgedGtids }: ArchiveStatus,
  question: StoreHandoffQuestion,
): StoreHandoffStep | null {
  if (acknowledgedGtids === null) return null;
  return askStoreHandoff({ stores, standIns, acknowledgedGtids, comparisons: [] }, question);
}

export function describeStorePlan({ sources }: StoreHandoffAnswer): string {
  return sources.map(({ source, step }) => `${source}: ${stepWords(step)}`).join('\n');
}

function stepWords(step: StoreHandoffStep): string {
  switch (step.kind) {
    case 'stay':
      return `nothing is switched for ${step.store}: another store counts in its place`;
    case 'stand-in':
      return `${step.to} would count in the place of ${step.from}: it holds all that was called archived`;
    case 'no-stand-in':
      return [
        `no store could count in the place of ${step.store}:`,
        ...step.reasons.map((it) => `  ${wordsOf(it)}`),
      ].join('\n');
    case 'drain': {
      const lacks =
        step.missingGtids === '' ? 'both are compared' : `it lacks ${shortGtids(step.missingGtids)}`;
      return `${step.from} is back, and counts again once it holds the same as ${step.to}: ${lacks}`;
    }
    case 'switch-back':
    case 'return':
      return `${step.from} counts itself again at the next look`;
  }
}

/** 0 where archiving would go on. */
export function exitOfStorePlan({ sources }: StoreHandoffAnswer): number {
  return sources.some(({ step }) => step.kind === 'no-stand-in') ? EXIT_CODES.refused : 0;
}

function notRequired({ store }: StoreHandoffQuestion): AppError {
  return new AppError({
    code: 'StoreNotRequired',
    kind: 'refused',
    message: `Nobody waits for ${store}, so no other store has to count in its place.`,
    hint: 'Name a store with policy: required.',
    facts: { store },
  });
}

function notKnown(store: string): AppError {
  return new AppError({
    code: 'StoresNotKnown',
    kind: 'unavailable',
    message: `No workflow that archives a source could say how the stores stand, so it is not known what would be done if ${store} failed.`,
    hint: 'Start a worker, and try again after its first round: pitrail worker',
    facts: { store },
  });
}
