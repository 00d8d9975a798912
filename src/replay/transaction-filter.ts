import { FLAG } from '../binlog/event-header.ts';
import { EVENT } from '../binlog/event-types.ts';
import type { Gtid } from '../domain/gtid.ts';
import { type GtidSet, GtidSetBuilder } from '../domain/gtid-set.ts';

/** What to do with one event. */
export type Decision =
  | { readonly kind: 'send' }
  | { readonly kind: 'skip' }
  /** Every wanted transaction was sent whole; nothing after this event is needed. */
  | { readonly kind: 'finished' }
  | { readonly kind: 'corrupt'; readonly reason: string };

const SEND: Decision = { kind: 'send' };
const SKIP: Decision = { kind: 'skip' };
const FINISHED: Decision = { kind: 'finished' };

/** What the filter needs of an event; `gtid` is called for GTID events only. */
export interface FilterEvent {
  readonly type: number;
  readonly flags: number;
  gtid(): Gtid;
}

/**
 * Decides, event by event in file order, which ones belong to a wanted transaction: from its GTID event up
 * to the next one, all or nothing. Pure but for the place in the file that it remembers.
 */
export class TransactionFilter {
  readonly #wanted: GtidSet;
  readonly #wantedCount: number;
  readonly #sent = new GtidSetBuilder();
  #sentCount = 0;
  #inside: 'nothing' | 'wanted' | 'unwanted' = 'nothing';

  constructor(wanted: GtidSet) {
    this.#wanted = wanted;
    this.#wantedCount = Number(wanted.count());
  }

  /** Transactions whose sending began. */
  get sentCount(): number {
    return this.#sentCount;
  }

  decide(event: FilterEvent): Decision {
    switch (event.type) {
      case EVENT.GTID:
      case EVENT.GTID_TAGGED:
        return this.#begin(event.gtid());
      case EVENT.ANONYMOUS_GTID:
        this.#inside = 'unwanted';
        return this.#isFinished() ? FINISHED : SKIP;
      case EVENT.ROTATE:
      case EVENT.STOP:
        this.#inside = 'nothing';
        return this.#isFinished() ? FINISHED : SKIP;
      case EVENT.FORMAT_DESCRIPTION:
        return { kind: 'corrupt', reason: 'a second FORMAT_DESCRIPTION stands in the file' };
      case EVENT.PREVIOUS_GTIDS:
        return SEND;
      default:
        return this.#continue(event);
    }
  }

  /** Wanted GTIDs that the file did not have, to be asked at its end; empty where all is well. */
  missing(): GtidSet {
    return this.#wanted.subtract(this.#sent.build());
  }

  #begin(gtid: Gtid): Decision {
    if (this.#isFinished()) return FINISHED;
    if (!this.#wanted.contains(gtid)) {
      this.#inside = 'unwanted';
      return SKIP;
    }
    this.#inside = 'wanted';
    this.#sent.add(gtid);
    this.#sentCount += 1;
    if (this.#sentCount > this.#wantedCount)
      return { kind: 'corrupt', reason: 'a GTID stands in the file twice' };
    return SEND;
  }

  #continue(event: FilterEvent): Decision {
    if (this.#inside === 'wanted') return SEND;
    if (this.#inside === 'unwanted' || (event.flags & FLAG.IGNORABLE) !== 0) return SKIP;
    return { kind: 'corrupt', reason: `an event of type ${event.type} stands outside of any transaction` };
  }

  #isFinished(): boolean {
    return this.#sentCount === this.#wantedCount;
  }
}
