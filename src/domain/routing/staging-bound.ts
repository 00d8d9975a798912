/** A closed log and what of it lies in the staging folder. Plain JSON; oldest first in lists. */
export interface StagedShare {
  readonly binlog: string;
  /** What the log and its sealed form take, or would take, in the staging folder. */
  readonly stagingBytes: number;
  readonly lies: 'staged' | 'on-server';
  /** Stores whose catalog names it. */
  readonly heldBy: readonly string[];
}

/** What to do with one log's files, and why. */
export type StagingDecision =
  /** It stays as it lies: some store needs it from there. */
  | { readonly kind: 'keep'; readonly binlog: string }
  /** It is staged now. */
  | { readonly kind: 'stage'; readonly binlog: string }
  /** Every store has it: its staged files go, where there are any. */
  | { readonly kind: 'done'; readonly binlog: string }
  /** Its staged files go, where there are any; the stores that lack it get it from one that has it. */
  | {
      readonly kind: 'refill';
      readonly binlog: string;
      readonly from: string;
      readonly lacking: readonly string[];
    }
  /** There is no room: it stays on the server, where `binlog_expire_logs_seconds` threatens it. */
  | { readonly kind: 'leave-on-server'; readonly binlog: string };

export interface StagingPlan {
  /** One for each log, in order. */
  readonly decisions: readonly StagingDecision[];
  /** What lies in the staging folder after it. */
  readonly bytes: number;
  /** `full`: logs were left on the server. */
  readonly room: 'enough' | 'full';
}

/**
 * Keeps the staging folder within a bound. Where it is reached, logs go that one store holds and
 * others lack, oldest first: those are copied from store to store. A log that no store holds is never
 * given up for another; new ones are staged oldest first, and the rest waits on the server. One log
 * that is larger than the bound is staged alone, or it would never be archived.
 */
export function planStaging(
  logs: readonly StagedShare[],
  stores: readonly string[],
  boundBytes: number,
): StagingPlan {
  const room = new Room(logs, stores, boundBytes);
  const waiting = logs.filter(({ lies, heldBy }) => lies === 'on-server' && heldBy.length === 0);
  room.shrinkFor(0);
  const stayed = waiting.findIndex((log) => !room.admits(log));
  const staged = new Set(stayed < 0 ? waiting : waiting.slice(0, stayed));
  return {
    decisions: logs.map((log) => decide(log, stores, room, staged)),
    bytes: room.bytes,
    room: stayed < 0 ? 'enough' : 'full',
  };
}

function decide(
  log: StagedShare,
  stores: readonly string[],
  room: Room,
  staged: ReadonlySet<StagedShare>,
): StagingDecision {
  const { binlog, lies, heldBy } = log;
  const lacking = lackOf(log, stores);
  if (lacking.length === 0) return { kind: 'done', binlog };
  const [from] = heldBy;
  if (lies === 'staged') {
    return from !== undefined && room.gaveUp(log)
      ? { kind: 'refill', binlog, from, lacking }
      : { kind: 'keep', binlog };
  }
  if (from !== undefined) return { kind: 'refill', binlog, from, lacking };
  return { kind: staged.has(log) ? 'stage' : 'leave-on-server', binlog };
}

/** The staging folder while it is planned. */
class Room {
  readonly #boundBytes: number;
  /** Staged, held by one store and lacked by another; oldest first. */
  readonly #spare: StagedShare[];
  readonly #givenUp = new Set<StagedShare>();
  #bytes: number;

  constructor(logs: readonly StagedShare[], stores: readonly string[], boundBytes: number) {
    const staged = logs.filter((log) => log.lies === 'staged' && lackOf(log, stores).length > 0);
    this.#boundBytes = boundBytes;
    this.#spare = staged.filter(({ heldBy }) => heldBy.length > 0);
    this.#bytes = staged.reduce((sum, { stagingBytes }) => sum + stagingBytes, 0);
  }

  get bytes(): number {
    return this.#bytes;
  }

  gaveUp(log: StagedShare): boolean {
    return this.#givenUp.has(log);
  }

  /** Gives up spare logs until so many bytes more would fit, or none is left. */
  shrinkFor(moreBytes: number): void {
    while (this.#bytes + moreBytes > this.#boundBytes) {
      const log = this.#spare.shift();
      if (log === undefined) return;
      this.#givenUp.add(log);
      this.#bytes -= log.stagingBytes;
    }
  }

  /** Takes a log in where it fits, or where it would be alone. */
  admits({ stagingBytes }: StagedShare): boolean {
    this.shrinkFor(stagingBytes);
    if (this.#bytes > 0 && this.#bytes + stagingBytes > this.#boundBytes) return false;
    this.#bytes += stagingBytes;
    return true;
  }
}

function lackOf({ heldBy }: StagedShare, stores: readonly string[]): string[] {
  return stores.filter((store) => !heldBy.includes(store));
}
