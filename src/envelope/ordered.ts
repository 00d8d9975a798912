/**
 * Runs `work` on up to `inFlight` items at a time and yields the results in the order of the items.
 * The source is read only as the consumer asks, so memory is bounded by `inFlight` items.
 *
 * Failed work is thrown in its place in the order, a failing source at once. The source is closed,
 * and work that is still running is left to end by itself.
 */
export async function* mapOrdered<Item, Result>(
  source: AsyncIterable<Item>,
  inFlight: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const running: Promise<Result>[] = [];
  for await (const item of source) {
    const result = work(item);
    // Awaited in its turn below; until then a failure must not count as unhandled.
    result.catch(() => undefined);
    running.push(result);
    const first = running.length >= inFlight ? running.shift() : undefined;
    if (first !== undefined) yield await first;
  }
  for (const result of running) yield await result;
}
