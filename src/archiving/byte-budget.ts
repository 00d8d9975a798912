interface Waiting {
  readonly weight: number;
  readonly start: () => void;
}

/**
 * Lets work run at once as long as the bytes that it streams fit into a budget: many small logs side
 * by side, a large one alone. First come, first served, so that a large one is not passed over for ever.
 */
export class ByteBudget {
  readonly #capacityBytes: number;
  #takenBytes = 0;
  #queue: readonly Waiting[] = [];

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes;
  }

  /** Runs work once its bytes fit. @throws what `work` throws; the signal's reason while it waits */
  async run<T>(lengthBytes: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const weight = Math.min(Math.max(lengthBytes, 1), this.#capacityBytes);
    await this.#admitted(weight, signal);
    try {
      return await work();
    } finally {
      this.#takenBytes -= weight;
      this.#admit();
    }
  }

  #admitted(weight: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { weight, start: resolve };
    const onAbort = (): void => {
      if (!this.#queue.includes(waiting)) return;
      this.#queue = this.#queue.filter((other) => other !== waiting);
      reject(signal.reason);
      this.#admit();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#queue = [...this.#queue, waiting];
    this.#admit();
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  #admit(): void {
    for (;;) {
      const [first, ...rest] = this.#queue;
      if (first === undefined || this.#takenBytes + first.weight > this.#capacityBytes) return;
      this.#queue = rest;
      this.#takenBytes += first.weight;
      first.start();
    }
  }
}
