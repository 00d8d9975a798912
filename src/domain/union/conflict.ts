import { printShort } from '../archive-line.ts';
import { AppError, assertNever } from '../errors.ts';
import { GtidSet } from '../gtid-set.ts';

/** Why the catalogs of several stores cannot be read as one history. Plain JSON. */
export type UnionConflict =
  | {
      readonly kind: 'other-repository';
      readonly stores: readonly string[];
      readonly repositoryIds: readonly string[];
    }
  /** Two entries about one binlog or base backup which do not say the same. */
  | {
      readonly kind: 'differs';
      readonly stores: readonly string[];
      readonly name: string;
      readonly fields: readonly string[];
    }
  /** Two logs of one server that cannot both be in its history. */
  | {
      readonly kind: 'divergent';
      readonly stores: readonly string[];
      readonly logs: readonly [string, string];
      /** In both, or lost between them; empty where only their times contradict each other. */
      readonly gtids: string;
    }
  | { readonly kind: 'other-order'; readonly stores: readonly string[]; readonly name: string }
  /** Two stores each took a handoff, to different heirs. */
  | { readonly kind: 'handoffs-differ'; readonly stores: readonly string[]; readonly epoch: number }
  /** What is one timeline in one store is two in another. */
  | { readonly kind: 'timelines-differ'; readonly stores: readonly string[]; readonly name: string }
  /** A log that an old writer may have added behind a handoff, with transactions that no set of GTIDs names. */
  | {
      readonly kind: 'anonymous-behind-handoff';
      readonly stores: readonly string[];
      readonly name: string;
      readonly epoch: number;
    }
  /** A timeline was asked for by a number, or the newest, and the stores do not agree which that is. */
  | {
      readonly kind: 'timeline-unclear';
      readonly stores: readonly string[];
      /** null: the newest. */
      readonly timeline: number | null;
    };

/** Says a conflict in one sentence, for people. */
export function explainConflict(conflict: UnionConflict): string {
  const stores = conflict.stores.join(' and ');
  switch (conflict.kind) {
    case 'other-repository':
      return `${stores} hold different repositories (${conflict.repositoryIds.join(', ')}), so they are no copies of one archive.`;
    case 'differs':
      return `${stores} say different things of ${conflict.name}: ${conflict.fields.join(', ')}.`;
    case 'divergent': {
      const [first, second] = conflict.logs;
      const gtids = GtidSet.parse(conflict.gtids);
      const what = gtids.isEmpty ? 'their times of creation contradict their GTIDs' : printShort(gtids);
      return `${first} and ${second} (in ${stores}) cannot be of one history: ${what}.`;
    }
    case 'other-order':
      return `${stores} hold the logs of a timeline in another order, from ${conflict.name} on: only one of them can be the order of commit.`;
    case 'handoffs-differ':
      return `${stores} each took another handoff of epoch ${conflict.epoch}, so two histories may go on from there.`;
    case 'timelines-differ':
      return `It is not sure on which timeline ${conflict.name} lies: ${stores} do not agree, or have no log of it in common.`;
    case 'anonymous-behind-handoff':
      return `${conflict.name} was written in ${stores} before the handoff of epoch ${conflict.epoch} had come there, and holds transactions without a GTID: nothing tells whether they belong to the history that goes on.`;
    case 'timeline-unclear':
      return conflict.timeline === null
        ? `${stores} each have a timeline of their own that none says is the newest.`
        : `Timeline ${conflict.timeline} is another one in each of ${stores}.`;
    default:
      return assertNever(conflict);
  }
}

/** The refusal to restore from stores that contradict each other: nothing of them is ever mixed. */
export function storesDisagree(conflict: UnionConflict): AppError {
  return new AppError({
    code: 'StoresDisagree',
    kind: 'conflict',
    message: `The stores contradict each other, so nothing was planned from them together. ${explainConflict(conflict)}`,
    hint:
      conflict.kind === 'timeline-unclear' && conflict.timeline === null
        ? 'Name the store (--store) whose numbers are meant, and the timeline (--timeline) where it is not the newest there.'
        : 'See what is wrong: pitrail verify. Name the store whose history is the right one: --store.',
    facts: { conflict: conflict.kind, stores: conflict.stores },
  });
}
