import { setTimeout as sleep } from 'node:timers/promises';
import {
  fullBucket,
  type RateLimit,
  rateLimit,
  type TokenBucket,
  takeBytes,
} from '../../domain/routing/token-bucket.ts';

/** How a gate tells time, and lets it pass. */
export interface GateClock {
  /** Milliseconds since any start; never goes back. */
  now(): number;
  /** @throws when the signal is aborted */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

const REAL_CLOCK: GateClock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
};

/** Lets bytes pass at a limited rate, whoever sends them: all streams that share a gate share its rate. */
export class RateGate {
  readonly #limit: RateLimit | null;
  readonly #clock: GateClock;
  #bucket: TokenBucket;

  /** `bytesPerSecond`: null lets everything pass. */
  constructor(bytesPerSecond: number | null, clock: GateClock = REAL_CLOCK) {
    this.#clock = clock;
    this.#limit = bytesPerSecond === null ? null : rateLimit(bytesPerSecond);
    this.#bucket = this.#limit === null ? { tokens: 0, atMs: 0 } : fullBucket(this.#limit, clock.now());
  }

  /** Resolves when so many bytes more may go. @throws the signal's reason */
  async pass(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#limit === null) return;
    const grant = takeBytes(this.#bucket, this.#limit, bytes, this.#clock.now());
    this.#bucket = grant.bucket;
    const waitMs = grant.sendAtMs - this.#clock.now();
    if (waitMs < 1) return;
    try {
      await this.#clock.sleep(waitMs, signal);
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : error;
    }
  }

  /** Passes a stream on at the rate of this gate. */
  async *paced(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      await this.pass(chunk.length, signal);
      yield chunk;
    }
  }
}
