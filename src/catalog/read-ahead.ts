/**
 * Calls `fetch(0)`, `fetch(1)`, … ahead of the reader and yields the answers in order. The window
 * starts at one and doubles with every answer up to `window`, so that a short list costs few calls.
 * When the reader stops, calls under way are aborted.
 */
export async function* readAhead<T>(
  fetch: (index: number, signal: AbortSignal) => Promise<T>,
  window: number,
): AsyncGenerator<T> {
  const stop = new AbortController();
  const underWay: Promise<T>[] = [];
  let started = 0;
  let allowed = 1;
  try {
    for (;;) {
      while (underWay.length < allowed) {
        const call = fetch(started, stop.signal);
        // The reader may stop before it comes to this answer; then nobody else looks at its failure.
        call.catch(() => undefined);
        underWay.push(call);
        started += 1;
      }
      yield await (underWay.shift() as Promise<T>);
      allowed = Math.min(window, allowed * 2);
    }
  } finally {
    stop.abort();
  }
}
