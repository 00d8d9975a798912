import { setTimeout as sleep } from 'node:timers/promises';
import {
  fullBucket,
  type RateLimit,
  rateLimit,
  type TokenBucket,
  takeBytes,
} from '../../domain/routing/token-bucket.ts';

/** Lets bytes pass at a limited rate, whoever sends them: all streams that share a gate share its rate. */
export class RateGate {
  readonly #limit: RateLimit | null;
  #bucket: TokenBucket;

  /** `bytesPerSecond`: null lets everything pass. */
  constructor(bytesPerSecond: number | null) {
    this.#limit = bytesPerSecond === null ? null : rateLimit(bytesPerSecond);
    this.#bucket = this.#limit === null ? { tokens: 0, atMs: 0 } : fullBucket(this.#limit, performance.now());
  }

  /** Resolves when so many bytes more may go. @throws the signal's reason */
  async pass(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#limit === null) return;
    const grant = takeBytes(this.#bucket, this.#limit, bytes, performance.now());
    this.#bucket = grant.bucket;
    const waitMs = grant.sendAtMs - performance.now();
    if (waitMs < 1) return;
    try {
      await sleep(waitMs, undefined, signal === undefined ? {} : { signal });
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
