import type { ClaimedFolder } from './data-folder.ts';
import type { Fallover, FalloverReport } from './fallover.ts';
import { readFallovers, writeFallovers } from './work-folder.ts';

export const NO_FALLOVERS: FalloverReport = { count: 0, first: [] };

/** A bucket may have lost every object: what is told of that stays small. */
const KEPT = 200;

/** The report with one more in it. Pure. */
export function withFallover({ count, first }: FalloverReport, fallover: Fallover): FalloverReport {
  const isKnown = first.some(
    ({ key, from, to }) => key === fallover.key && from === fallover.from && to === fallover.to,
  );
  if (isKnown) return { count, first };
  return { count: count + 1, first: first.length < KEPT ? [...first, fallover] : first };
}

/** Notes fallovers in the work folder of a restore, so that a crash forgets none. */
export class FalloverLog {
  readonly #folder: ClaimedFolder;
  #last: Promise<void> = Promise.resolve();

  constructor(folder: ClaimedFolder) {
    this.#folder = folder;
  }

  /** Written when it resolves; several at a time wait for each other. */
  add(fallover: Fallover): Promise<void> {
    const written = this.#last.then(async () => {
      const report = (await readFallovers(this.#folder)) ?? NO_FALLOVERS;
      await writeFallovers(this.#folder, withFallover(report, fallover));
    });
    // Its caller gets the failure; the next one tries for itself.
    this.#last = written.catch(() => undefined);
    return written;
  }
}
