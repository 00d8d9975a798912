/** Rates of a small machine with local disks; a plan says an order of magnitude, not a promise. */
const STORED_BYTES_PER_SECOND = 80_000_000;
const UNPACKED_BYTES_PER_SECOND = 150_000_000;
/** 136,821 transactions in 239 MB were applied in 30 to 39 s by 4 workers. */
const TRANSACTIONS_PER_SECOND = 4_000;
const REPLAYED_BYTES_PER_SECOND = 7_000_000;
/** Starting the throw-away server, its clean stop, and the hand-over. */
const FIXED_SECONDS = 8;

/** What a restore has to move. */
export interface RestoreWork {
  readonly storedBytes: number;
  readonly unpackedBytes: number;
  readonly replayedTransactions: number;
  readonly replayedBytes: number;
}

/** Seconds that a restore may take, rounded up: fetch, unpack, replay and the fixed steps, one after another. */
export function estimateSeconds(work: RestoreWork): number {
  const fetch = Math.max(
    work.storedBytes / STORED_BYTES_PER_SECOND,
    work.unpackedBytes / UNPACKED_BYTES_PER_SECOND,
  );
  const replay = Math.max(
    work.replayedTransactions / TRANSACTIONS_PER_SECOND,
    work.replayedBytes / REPLAYED_BYTES_PER_SECOND,
  );
  return Math.ceil(FIXED_SECONDS + fetch + replay);
}
