import { backOff } from '../wait.ts';

/** In all, with growing waits between; whoever calls may try again later. */
const MOST_TRIES = 5;

/** The tries of one request: few, and none begins long after the first, so that silence is not waited for five times. */
export class Tries {
  readonly #idleMs: number;
  readonly #signal: AbortSignal | undefined;
  #number = 1;
  #lastBeginsBefore: number;

  constructor(idleMs: number, signal: AbortSignal | undefined) {
    this.#idleMs = idleMs;
    this.#signal = signal;
    this.#lastBeginsBefore = performance.now() + idleMs;
  }

  get isFirst(): boolean {
    return this.#number === 1;
  }

  get exhausted(): boolean {
    return this.#number >= MOST_TRIES || performance.now() > this.#lastBeginsBefore;
  }

  /** Waits before the next try. @throws the signal's reason */
  async next(): Promise<void> {
    await backOff(this.#number, this.#signal);
    this.#number += 1;
  }

  /** Something was achieved: what follows is as good as a first try. */
  restart(): void {
    this.#number = 1;
    this.#lastBeginsBefore = performance.now() + this.#idleMs;
  }
}
