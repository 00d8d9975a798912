/** An item with what became of it. */
export interface Settled<Item, Result> {
  readonly item: Item;
  readonly result: Result;
}

/**
 * Works on items ahead of the reader, at most `ahead` at once, and yields the results in the order of
 * the items. Where the reader stops or an item fails, work under way is aborted and awaited before it
 * ends, so that nothing goes on unseen.
 * @throws what the first failing item, in order, throws
 */
export async function* inOrder<Item, Result>(
  items: readonly Item[],
  ahead: number,
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Settled<Item, Result>> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const underWay: { readonly item: Item; readonly result: Promise<Result> }[] = [];
  const waiting = [...items].reverse();
  try {
    for (;;) {
      while (underWay.length < ahead) {
        const item = waiting.pop();
        if (item === undefined) break;
        const result = work(item, either);
        // One that fails early is looked at in its turn.
        result.catch(() => undefined);
        underWay.push({ item, result });
      }
      const [first] = underWay;
      if (first === undefined) return;
      const result = await first.result;
      underWay.shift();
      yield { item: first.item, result };
    }
  } finally {
    stop.abort();
    await Promise.allSettled(underWay.map(({ result }) => result));
  }
}
