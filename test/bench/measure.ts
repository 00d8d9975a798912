/** Times of contenders that ran one after the other, in seconds, round by round. */
export type Times<Name extends string> = Readonly<Record<Name, readonly number[]>>;

/** A ratio as measured: the median over rounds, and the smallest and largest of single rounds. */
export interface Ratio {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
  readonly rounds: number;
}

/**
 * Runs every contender once unmeasured (caches), then `rounds` times by turns, each round in another
 * order, so that what else the machine does meets all of them alike.
 */
export async function byTurns<Name extends string>(
  rounds: number,
  contenders: Readonly<Record<Name, () => Promise<unknown>>>,
  options: { readonly warmUp: 'once' | 'none' } = { warmUp: 'once' },
): Promise<Times<Name>> {
  const names = Object.keys(contenders) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  if (options.warmUp === 'once') for (const name of names) await contenders[name]();
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? names : names.toReversed();
    for (const name of order) {
      const startedAt = performance.now();
      await contenders[name]();
      times[name].push((performance.now() - startedAt) / 1000);
    }
  }
  return times;
}

/** Round by round: how many times as long `numerator` took as `denominator`. */
export function ratioOf(numerator: readonly number[], denominator: readonly number[]): Ratio {
  if (numerator.length === 0 || numerator.length !== denominator.length)
    throw new Error(`a ratio needs as many times above as below: ${numerator.length}, ${denominator.length}`);
  const ratios = numerator.map((above, round) => above / (denominator[round] ?? Number.NaN));
  return {
    median: median(ratios),
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios),
    rounds: ratios.length,
  };
}

/** The middle value; of two middle values their mean. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new Error('no values, no median');
  return (low + high) / 2;
}

/** Largest resident set of this process so far, in bytes. */
export function peakRssBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
