import { leaveAlone } from '../process/lent-memory.ts';

/** One of several readers of the same stream. */
export interface Branch {
  /** To be consumed once. */
  readonly output: AsyncIterable<Uint8Array>;
  /** This reader wants no more; the others are no longer held up by it. */
  leave(): void;
}

export interface FanOut {
  readonly branches: readonly Branch[];
  /** Resolves when the input has ended or every reader has left; never rejects: readers get the input's error. */
  readonly done: Promise<void>;
}

/**
 * Gives one stream to several readers, at the pace of the slowest: each holds one chunk at most.
 * A reader that leaves, or whose iteration ends early, drops out. When all have, the input is closed.
 *
 * `onRead` gets each chunk of which every reader has asked for the next, and may free it. What a reader
 * had when it left stays: it may still be looked at.
 */
export function fanOut(
  input: AsyncIterable<Uint8Array>,
  readers: number,
  onRead: (chunk: Uint8Array) => void = leaveAlone,
): FanOut {
  const queues = Array.from({ length: readers }, () => new Handover());
  return {
    branches: queues.map((queue) => ({ output: queue.read(), leave: () => queue.leave() })),
    done: pump(input, queues, onRead),
  };
}

async function pump(
  input: AsyncIterable<Uint8Array>,
  queues: readonly Handover[],
  onRead: (chunk: Uint8Array) => void,
): Promise<void> {
  try {
    for await (const chunk of input) {
      const takers = queues.filter(({ left }) => !left);
      let looking = takers.length;
      const read = (): void => {
        looking -= 1;
        if (looking === 0) onRead(chunk);
      };
      await Promise.all(takers.map((queue) => queue.offer({ kind: 'chunk', chunk, read })));
      if (queues.every((queue) => queue.left)) return;
    }
    await Promise.all(queues.map((queue) => queue.offer({ kind: 'end' })));
  } catch (error) {
    await Promise.all(queues.map((queue) => queue.offer({ kind: 'failed', error })));
  }
}

type Item =
  /** `read` is called when the reader asks for the next. */
  | { readonly kind: 'chunk'; readonly chunk: Uint8Array; readonly read: () => void }
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly error: unknown };

/** A place for one item between the pump and a reader. */
class Handover {
  left = false;
  #item: Item | null = null;
  #taken = Promise.withResolvers<void>();
  #arrived = Promise.withResolvers<void>();

  /** Resolves when the item lies there, so the reader may lag behind by one. */
  async offer(item: Item): Promise<void> {
    while (this.#item !== null && !this.left) await this.#taken.promise;
    if (this.left) return;
    this.#item = item;
    this.#taken = Promise.withResolvers();
    this.#arrived.resolve();
  }

  leave(): void {
    this.left = true;
    this.#taken.resolve();
    this.#arrived.resolve();
  }

  async *read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const item = await this.#take();
        if (item === null || item.kind === 'end') return;
        if (item.kind === 'failed') throw item.error;
        yield item.chunk;
        item.read();
      }
    } finally {
      this.leave();
    }
  }

  /** null: the reader left. */
  async #take(): Promise<Item | null> {
    await this.#arrived.promise;
    if (this.left) return null;
    const item = this.#item;
    this.#item = null;
    this.#arrived = Promise.withResolvers();
    this.#taken.resolve();
    return item;
  }
}
