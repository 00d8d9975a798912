/** A limit of bytes per second that is never exceeded over time. */
export interface RateLimit {
  readonly bytesPerSecond: number;
  /** So much may go at once after a pause. */
  readonly burstBytes: number;
}

/** What of a limit is used: plain JSON. */
export interface TokenBucket {
  /** Bytes that may go now; below zero: a debt that time pays. */
  readonly tokens: number;
  /** When this was so; milliseconds since 1970 or any other start. */
  readonly atMs: number;
}

export interface Grant {
  readonly bucket: TokenBucket;
  /** The bytes may be sent then, not before. Never in the past. */
  readonly sendAtMs: number;
}

/** A burst of a quarter of a second: over ten seconds it adds 2.5 % to the rate. */
const BURST_SECONDS = 0.25;

/** The limit for a rate, with its burst. */
export function rateLimit(bytesPerSecond: number): RateLimit {
  return { bytesPerSecond, burstBytes: bytesPerSecond * BURST_SECONDS };
}

/** A bucket that was not used for a while. */
export function fullBucket({ burstBytes }: RateLimit, atMs: number): TokenBucket {
  return { tokens: burstBytes, atMs };
}

/**
 * Takes bytes out of a bucket, more than it holds where a chunk is larger: then they may be sent
 * when the debt is paid. From the start on, what is sent never exceeds `burst + rate · time`; in any
 * other span never the larger of burst and largest chunk, `+ rate · time`. A clock that steps back
 * pays nothing.
 */
export function takeBytes(bucket: TokenBucket, limit: RateLimit, bytes: number, nowMs: number): Grant {
  const { bytesPerSecond, burstBytes } = limit;
  const now = Math.max(nowMs, bucket.atMs);
  const earned = ((now - bucket.atMs) / 1000) * bytesPerSecond;
  const tokens = Math.min(burstBytes, bucket.tokens + earned) - bytes;
  const debt = Math.max(0, -tokens);
  return { bucket: { tokens, atMs: now }, sendAtMs: now + Math.ceil((debt / bytesPerSecond) * 1000) };
}
