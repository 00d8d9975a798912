/** A task that was started ahead: its outcome, looked at in order later. */
export type Outcome<R> =
  | { readonly status: 'done'; readonly value: R }
  | { readonly status: 'failed'; readonly error: unknown }
  | { readonly status: 'not-started' };

/**
 * Starts `work` on the items in order, at most `width` at once, while `mayStart` says so. Gives one
 * promise for each item, in order; none of them rejects, so that a failure far ahead waits for its turn.
 */
export function startAhead<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
  mayStart: () => boolean,
): readonly Promise<Outcome<R>>[] {
  const slots: Promise<unknown>[] = [];
  return items.map((item, index) => {
    const turn = slots[index - width] ?? Promise.resolve();
    const outcome = turn.then(() => attempt(item, work, mayStart));
    slots.push(outcome);
    return outcome;
  });
}

async function attempt<T, R>(
  item: T,
  work: (item: T) => Promise<R>,
  mayStart: () => boolean,
): Promise<Outcome<R>> {
  if (!mayStart()) return { status: 'not-started' };
  try {
    return { status: 'done', value: await work(item) };
  } catch (error) {
    return { status: 'failed', error };
  }
}
