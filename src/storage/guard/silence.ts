import { AppError } from '../../domain/errors.ts';
import { storeStalled } from '../refusals.ts';

/** When a store that says nothing counts as failed. Milliseconds. */
export interface Patience {
  /** A stream that stands still for so long makes the store be asked for something small. */
  readonly askAfterMs: number;
  /** It must answer that within so long. */
  readonly answerMs: number;
  /** So many questions must go unanswered where much is sent, one where little is: a question may wait behind a part. */
  readonly questions: number;
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
  /** Ends the wait under way. One promise for each wait: a race against one for all would keep every chunk alive. */
  #giveUp: (error: AppError) => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #movedAtMs = performance.now();
  #state: 'waits-for-store' | 'waits-for-us' | 'ended' = 'waits-for-us';
  #unanswered = 0;
  #work: 'much' | 'little';

  constructor(silence: Silence, work: 'much' | 'little') {
    this.#silence = silence;
    this.#work = work;
  }

  /** Aborted when the store has failed. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Waits for the store. @throws what the work throws; unavailable `StoreStalled` */
  async during<T>(work: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#giveUp = reject;
    this.resume();
    work.then(resolve, reject);
    try {
      return await promise;
    } finally {
      this.#giveUp = () => undefined;
      this.pause();
    }
  }

  /** More comes than fits into a small answer. */
  expectMuch(): void {
    this.#work = 'much';
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
    const isWell = answer === 'answers' || this.#movedAtMs > askedAtMs;
    this.#unanswered = isWell ? 0 : this.#unanswered + 1;
    if (isWell) return this.#arm();
    if (this.#unanswered < (this.#work === 'much' ? patience.questions : 1)) return this.#look();
    this.#fail(storeStalled(location, performance.now() - this.#movedAtMs));
  }

  #fail(error: AppError): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#giveUp(error);
    this.#abort.abort(error);
  }
}

/** Whether a store says anything within a time; a refusal is an answer, too. */
async function answerWithin(
  ask: (signal: AbortSignal) => Promise<unknown>,
  ms: number,
): Promise<'answers' | 'silent'> {
  const stop = new AbortController();
  const late = (): Error => new AppError({ code: 'Late', kind: 'unavailable', message: 'It said nothing.' });
  try {
    await answeredWithin(ask(stop.signal), ms, late);
    return 'answers';
  } catch (error) {
    return error instanceof AppError && error.kind !== 'unavailable' ? 'answers' : 'silent';
  } finally {
    stop.abort();
  }
}

/**
 * Waits for an answer for so long, not counting what this process itself was held up.
 * @throws what the answer throws; `late` where none came
 */
export async function answeredWithin<T>(answer: Promise<T>, ms: number, late: () => Error): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const dueMs = performance.now() + ms;
    timer = setTimeout(() => {
      if (performance.now() - dueMs > LATE_MS) arm();
      else reject(late());
    }, ms);
  };
  arm();
  answer.then(resolve, reject);
  return promise.finally(() => clearTimeout(timer));
}
