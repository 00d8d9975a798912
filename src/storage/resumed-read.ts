import type { Readable } from 'node:stream';
import { AppError } from '../domain/errors.ts';
import { type Checksum, type RunningChecksum, runningChecksum } from './checksum.ts';
import { storedDiffers, storeUnreachable } from './refusals.ts';
import { backOff } from './wait.ts';

/** Broken answers in a row without a byte in between, after which reading gives up. */
const MAX_BARREN_ANSWERS = 5;

/** An object, or a range of it, to be read from a server. */
export interface Reading {
  /** For people: the store. */
  readonly location: string;
  /** As the caller of the store knows it. */
  readonly key: string;
  /** From `start` to before `end`; Infinity for all. */
  readonly start: number;
  readonly end: number;
  /** Longest silence of an answer. */
  readonly idleMs: number;
  readonly signal: AbortSignal | undefined;
  /**
   * Asks for the bytes from `offset` to the end of the range, of that version alone where one is
   * given; undefined where the range begins behind the end of the object.
   */
  readonly ask: (offset: number, version: string | undefined) => Promise<Answer | undefined>;
}

/** An answer under way. */
export interface Answer {
  readonly body: Readable;
  /** Offset in the object behind the last byte that this answer will bring. */
  readonly endsAt: number;
  /** What tells this object from another under the same key. */
  readonly version: string | undefined;
  /** Of the whole object; null where the answer tells none. */
  readonly checksum: Checksum | null;
}

/**
 * Streams an object or a range of it. A body that breaks, stalls or ends early is asked for again
 * from where it stopped, of the same version. A range behind the end is empty. An object that is
 * read from its first byte to its last is compared with the checksum that the store keeps.
 *
 * @throws corrupt `StoredDiffers` where the object was replaced, the store sends more than it promised,
 *   or bytes that are not those of its checksum; unavailable; what `ask` throws
 */
export async function* resumedRead(task: Reading): AsyncGenerator<Uint8Array> {
  let offset = task.start;
  let answer = await task.ask(offset, undefined);
  if (answer === undefined) return;
  const { endsAt, checksum } = answer;
  const whole = task.start === 0 && task.end === Number.POSITIVE_INFINITY;
  const running = whole && checksum !== null ? await runningChecksum(checksum.kind) : null;
  for (let barren = 0; ; ) {
    const before = offset;
    const chunks = new BodyReader(answer.body, task.idleMs);
    try {
      for (let chunk = await chunks.next(); chunk !== undefined; chunk = await chunks.next()) {
        task.signal?.throwIfAborted();
        offset += chunk.length;
        if (offset > endsAt) throw tooMuch(task, endsAt);
        running?.update(chunk);
        yield chunk;
      }
    } finally {
      answer.body.destroy();
    }
    if (offset === endsAt) return compare(task, running, checksum);
    barren = offset > before ? 0 : barren + 1;
    if (barren === MAX_BARREN_ANSWERS) throw broken(task, offset, endsAt, chunks.failure);
    answer = await resume(task, offset, answer);
  }
}

/** Asks for the rest of an object, for a while: what broke the connection may refuse new ones too. */
async function resume(task: Reading, offset: number, broken: Answer): Promise<Answer> {
  const deadline = performance.now() + 2 * task.idleMs;
  for (let attempt = 1; ; attempt++) {
    await backOff(attempt, task.signal);
    try {
      const answer = await task.ask(offset, broken.version);
      if (answer?.endsAt === broken.endsAt) return answer;
      answer?.body.destroy();
      throw replacedWhileRead(task.location, task.key);
    } catch (error) {
      const passing = error instanceof AppError && error.kind === 'unavailable';
      if (!passing || performance.now() > deadline) throw error;
    }
  }
}

/** Reads chunk after chunk; a failure of the connection is an early end, and is remembered. */
class BodyReader {
  readonly #body: Readable;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #idleMs: number;
  #failure: unknown;

  constructor(body: Readable, idleMs: number) {
    this.#body = body;
    this.#chunks = body[Symbol.asyncIterator]();
    this.#idleMs = idleMs;
  }

  get failure(): unknown {
    return this.#failure;
  }

  async next(): Promise<Uint8Array | undefined> {
    const timer = setTimeout(() => {
      this.#body.destroy(new Error(`no byte came for ${this.#idleMs} ms`));
    }, this.#idleMs);
    try {
      const { done, value } = await this.#chunks.next();
      return done === true ? undefined : value;
    } catch (error) {
      this.#failure = error;
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

function compare(task: Reading, running: RunningChecksum | null, checksum: Checksum | null): void {
  if (running === null || checksum === null) return;
  const found = running.finish();
  if (found === checksum.hex) return;
  const detail = `the bytes that came have the ${checksum.kind.toUpperCase()} ${found}, and the store keeps ${checksum.hex}`;
  throw storedDiffers(task.location, task.key, detail);
}

function tooMuch(task: Reading, endsAt: number): Error {
  return storedDiffers(task.location, task.key, `more bytes came than the ${endsAt} promised`);
}

/** Another object stands under the key than the one whose first bytes were read. */
export function replacedWhileRead(location: string, key: string): AppError {
  return storedDiffers(location, key, 'it was replaced while it was read');
}

function broken(task: Reading, offset: number, endsAt: number, failure: unknown): Error {
  const reason = failure instanceof Error ? failure.message : 'the answer ended early';
  return storeUnreachable(
    task.location,
    `reading ${task.key} broke off at byte ${offset} of ${endsAt}, again and again: ${reason}`,
  );
}
