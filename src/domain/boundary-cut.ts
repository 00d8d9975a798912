import { assertNever } from './errors.ts';
import { type Gtid, sameGtid } from './gtid.ts';
import { GtidSet, GtidSetBuilder } from './gtid-set.ts';
import type { Micros } from './time.ts';

/** What of a segment belongs to the target's prefix. */
export type Cut =
  /** Up to the first transaction that was committed later. */
  | { readonly kind: 'time'; readonly atMicros: Micros }
  | { readonly kind: 'before'; readonly gtid: Gtid }
  | { readonly kind: 'after'; readonly gtid: Gtid }
  /** All that end at or before the offset. */
  | { readonly kind: 'position'; readonly position: number }
  /** All; asked to name the last transaction. */
  | { readonly kind: 'all' }
  /** None; asked to name the first transaction. */
  | { readonly kind: 'nothing' };

/** A transaction of a segment, in file order. */
export interface BoundaryTransaction {
  /** null where it is anonymous. */
  readonly gtid: Gtid | null;
  /** Offset of its GTID event. */
  readonly startOffset: number;
  /** Offset just behind its last event. */
  readonly endOffset: number;
  readonly committedAtMicros: Micros | null;
}

/** Where the cut falls in one segment. */
export interface BoundaryAnswer {
  /** GTIDs before the cut. */
  readonly included: GtidSet;
  /** Transactions before the cut, those without a GTID too. */
  readonly includedTransactions: number;
  readonly includedAnonymous: number;
  /** The last transaction before the cut that is not skipped. */
  readonly last: BoundaryTransaction | null;
  readonly firstExcluded: BoundaryTransaction | null;
  /** The transaction that a position cut would split. */
  readonly inside: BoundaryTransaction | null;
  /** False where `before` or `after` did not meet its GTID. */
  readonly met: boolean;
  /** The latest commit time before the cut; null where none is known. */
  readonly latestMicros: Micros | null;
  /** Repeated transactions that end at or before a position cut, and the last of them. */
  readonly repeated: GtidSet;
  readonly lastRepeated: Gtid | null;
}

/** Answers by place in `PlanFacts.segments`. */
export type BoundaryAnswers = ReadonlyMap<number, BoundaryAnswer>;

/**
 * Finds the cut while the transactions of a segment are pushed in file order; keeps no
 * transaction but the neighbours. `repeats` are passed over: they count in another segment. When
 * `done`, the rest of the segment need not be read.
 */
export class BoundaryFold {
  readonly #cut: Cut;
  readonly #skip: GtidSet;
  readonly #included = new GtidSetBuilder();
  #transactions = 0;
  #anonymous = 0;
  #last: BoundaryTransaction | null = null;
  #firstExcluded: BoundaryTransaction | null = null;
  #met: boolean;
  #latestMicros: Micros | null = null;
  readonly #repeats: GtidSet;
  readonly #repeated = new GtidSetBuilder();
  #lastRepeated: Gtid | null = null;
  #splitRepeat: BoundaryTransaction | null = null;

  constructor(cut: Cut, skip: GtidSet = GtidSet.EMPTY, repeats: GtidSet = GtidSet.EMPTY) {
    this.#cut = cut;
    this.#skip = skip;
    this.#repeats = repeats;
    this.#met = cut.kind !== 'before' && cut.kind !== 'after';
  }

  add(transaction: BoundaryTransaction): void {
    if (this.#firstExcluded !== null) return;
    const { gtid, committedAtMicros } = transaction;
    if (gtid !== null && this.#repeats.contains(gtid)) {
      this.#addRepeat(transaction, gtid);
      return;
    }
    if (!this.#includes(transaction)) {
      this.#firstExcluded = transaction;
      return;
    }
    this.#transactions += 1;
    if (
      committedAtMicros !== null &&
      (this.#latestMicros === null || committedAtMicros > this.#latestMicros)
    ) {
      this.#latestMicros = committedAtMicros;
    }
    if (gtid === null) this.#anonymous += 1;
    else this.#included.add(gtid);
    if (gtid === null || !this.#skip.contains(gtid)) this.#last = transaction;
  }

  #addRepeat(transaction: BoundaryTransaction, gtid: Gtid): void {
    if (this.#cut.kind !== 'position') return;
    if (transaction.endOffset <= this.#cut.position) {
      this.#repeated.add(gtid);
      this.#lastRepeated = gtid;
    } else if (transaction.startOffset < this.#cut.position) {
      this.#splitRepeat = transaction;
    }
  }

  /** True once the first transaction behind the cut was met. */
  get done(): boolean {
    return this.#firstExcluded !== null;
  }

  answer(): BoundaryAnswer {
    const next = this.#firstExcluded;
    const splits = this.#cut.kind === 'position' && next !== null && next.startOffset < this.#cut.position;
    return {
      included: this.#included.build(),
      includedTransactions: this.#transactions,
      includedAnonymous: this.#anonymous,
      last: this.#last,
      firstExcluded: next,
      inside: splits ? next : this.#splitRepeat,
      met: this.#met,
      latestMicros: this.#latestMicros,
      repeated: this.#repeated.build(),
      lastRepeated: this.#lastRepeated,
    };
  }

  #includes(transaction: BoundaryTransaction): boolean {
    const cut = this.#cut;
    const { gtid } = transaction;
    switch (cut.kind) {
      case 'all':
        return true;
      case 'nothing':
        return false;
      case 'time':
        return transaction.committedAtMicros === null || transaction.committedAtMicros <= cut.atMicros;
      case 'position':
        return transaction.endOffset <= cut.position;
      case 'before':
        this.#met = gtid !== null && sameGtid(gtid, cut.gtid);
        return !this.#met;
      case 'after': {
        if (this.#met) return false;
        this.#met = gtid !== null && sameGtid(gtid, cut.gtid);
        return true;
      }
      default:
        return assertNever(cut);
    }
  }
}

/** Answers for a segment whose transactions are at hand, in file order. */
export function foldBoundary(
  cut: Cut,
  transactions: Iterable<BoundaryTransaction>,
  skip?: GtidSet,
  repeats?: GtidSet,
): BoundaryAnswer {
  const fold = new BoundaryFold(cut, skip, repeats);
  for (const transaction of transactions) {
    fold.add(transaction);
    if (fold.done) break;
  }
  return fold.answer();
}
