import { Random } from '../domain/random.ts';

/** What a test context can print. */
interface Printer {
  diagnostic(message: string): void;
}

/**
 * Runs a property on seeded worlds: fixed seeds, and one new on every day of testing, printed so that
 * `PITRAIL_TEST_SEED` can bring it back. The message for assertions names the seed.
 */
export function onSeeds(t: Printer, worlds: number, check: (random: Random, message: string) => void): void {
  const own = process.env['PITRAIL_TEST_SEED'];
  const fresh = own === undefined ? Date.now() % 0x7fffffff : Number(own);
  t.diagnostic(`seeds 1 to ${worlds}, and ${fresh} to ${fresh + worlds - 1}`);
  for (let n = 0; n < worlds; n += 1) {
    for (const seed of [n + 1, fresh + n]) check(new Random(seed), `seed ${seed}`);
  }
}

/** A random number from 0 (included) to 1 (excluded). */
export function chanceOf(random: Random): number {
  return random.int(1_000_000) / 1_000_000;
}
