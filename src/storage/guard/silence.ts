import { AppError } from '../../domain/errors.ts';
import { storeStalled } from '../refusals.ts';

/** When a store that says nothing counts as failed. Milliseconds. */
export interface Patience {
  /** A stream that stands still for so long makes the store be asked for something small. */
  readonly askAfterMs: number;
  /** It must answer that within so long, or it has failed. */
  readonly answerMs: number;
  /** However well it answers: a stream that stands still for so long has failed. */
  readonly idleMs: number;
}

/** Work on a store that must not hang. */
export interface Silence {
  readonly location: string;
  readonly patience: Patience;
  /** Asks the store for something small, to see whether it is there at all. */
  readonly ask: (signal: AbortSignal) => Promise<unknown>;
}

/** A timer that comes so late was held up by this process: its silence says nothing about the store. */
const LATE_MS = 400;

/**
 * Watches one piece of work on a store. While the work waits for the store, silence is measured; a
 * store that is merely slow is asked for something small, and goes on where it answers.
 */
export class SilenceWatch {
  readonly #silence: Silence;
  readonly #abort = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  #timer: NodeJS.Timeout | undefined;
  #movedAtMs = performance.now();
  #state: 'waits-for-store' | 'waits-for-us' | 'ended' = 'waits-for-us';

  constructor(silence: Silence) {
    this.#silence = silence;
    // Nobody may be waiting when it rejects.
    this.#failed.promise.catch(() => undefined);
  }

  /** Aborted when the store has failed. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Waits for the store. @throws what the work throws; unavailable `StoreStalled` */
  async during<T>(work: Promise<T>): Promise<T> {
    this.resume();
    try {
      return await Promise.race([work, this.#failed.promise]);
    } catch (error) {
      work.catch(() => undefined);
      throw error;
    } finally {
      this.pause();
    }
  }

  /** The store did something. */
  moved(): void {
    this.#movedAtMs = performance.now();
  }

  /** It is our turn: the store is not to blame for silence. */
  pause(): void {
    if (this.#state === 'ended') return;
    this.#state = 'waits-for-us';
    clearTimeout(this.#timer);
  }

  /** It is the store's turn again. */
  resume(): void {
    if (this.#state === 'ended') return;
    this.#state = 'waits-for-store';
    this.moved();
    this.#arm();
  }

  /** Stops watching, and ends what the store still does. */
  end(): void {
    this.pause();
    this.#state = 'ended';
    this.#abort.abort();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { askAfterMs } = this.#silence.patience;
    const dueMs = performance.now() + askAfterMs;
    this.#timer = setTimeout(() => {
      if (performance.now() - dueMs > LATE_MS) this.#arm();
      else void this.#look();
    }, askAfterMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const { patience, location, ask } = this.#silence;
    const silentMs = performance.now() - this.#movedAtMs;
    if (silentMs < patience.askAfterMs / 2) return this.#arm();
    if (silentMs >= patience.idleMs) return this.#fail(storeStalled(location, silentMs));
    const askedAtMs = performance.now();
    const answer = await answerWithin(ask, patience.answerMs);
    if (this.#state !== 'waits-for-store') return;
    if (answer === 'answers' || this.#movedAtMs > askedAtMs) this.#arm();
    else this.#fail(storeStalled(location, performance.now() - this.#movedAtMs));
  }

  #fail(error: AppError): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#failed.reject(error);
    this.#abort.abort(error);
  }
}

/** Whether a store says anything within a time; a refusal is an answer, too. */
async function answerWithin(
  ask: (signal: AbortSignal) => Promise<unknown>,
  ms: number,
): Promise<'answers' | 'silent'> {
  const stop = new AbortController();
  const { promise: late, resolve } = Promise.withResolvers<'silent'>();
  const timer = lateTimer(ms, () => resolve('silent'));
  const answer = ask(stop.signal).then(
    () => 'answers' as const,
    (error: unknown) =>
      error instanceof AppError && error.kind !== 'unavailable' ? ('answers' as const) : ('silent' as const),
  );
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer.stop();
    stop.abort();
  }
}

/** A timer that a busy process does not fire for a time in which nothing could come in. */
function lateTimer(ms: number, act: () => void): { stop(): void } {
  let timer: NodeJS.Timeout;
  const arm = (waitMs: number): void => {
    const dueMs = performance.now() + waitMs;
    timer = setTimeout(() => (performance.now() - dueMs > LATE_MS ? arm(waitMs) : act()), waitMs);
  };
  arm(ms);
  return { stop: () => clearTimeout(timer) };
}
