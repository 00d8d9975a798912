import type { BodyDigest } from './body-digest.ts';
import type { CreateOptions, CreateOutcome } from './object-store.ts';

/** One part of a body, in memory. */
export interface Part {
  /** From 1. */
  readonly number: number;
  readonly bytes: Buffer;
  readonly last: boolean;
}

/** How a body is cut. */
export interface Cut {
  /** Size of part `number`, from 1. */
  readonly sizeOf: (number: number) => number;
  /** Memory to gather part `number` in, as large as is expected of it. */
  readonly blockOf: (number: number) => Buffer;
}

/** How a cut body goes to its store, with the digest of all that has passed. */
export interface Sending {
  readonly options: CreateOptions;
  readonly digest: BodyDigest;
  /** In one request. */
  readonly whole: (bytes: Buffer) => Promise<CreateOutcome['status']>;
  readonly parts: (first: Part, rest: AsyncGenerator<Part>) => Promise<CreateOutcome['status']>;
}

/** Sends a body in one request where it is one part, else part by part; closes it in any case. */
export async function sendCut(parts: AsyncGenerator<Part>, sending: Sending): Promise<CreateOutcome> {
  const { options, digest } = sending;
  try {
    // `cutParts` yields one part at least.
    const { value: first } = await parts.next();
    const isWhole = first.last && options.transfer !== 'parts';
    const status = isWhole ? await sending.whole(first.bytes) : await sending.parts(first, parts);
    return status === 'exists' ? { status } : { status, ...digest.finish() };
  } finally {
    await parts.return(undefined);
  }
}

/** Cuts a stream into parts, each gathered into one piece. An empty stream is one empty part. */
export async function* cutParts(body: AsyncIterable<Uint8Array>, cut: Cut): AsyncGenerator<Part> {
  let number = 1;
  let gathering = new Gathering(cut.blockOf(number));
  for await (const chunk of body) {
    for (let rest = chunk; rest.length > 0; ) {
      const missing = cut.sizeOf(number) - gathering.lengthBytes;
      // A full part waits for the next byte, which says that it is not the last.
      if (missing === 0) {
        yield { number, bytes: gathering.take(), last: false };
        number += 1;
        gathering = new Gathering(cut.blockOf(number));
        continue;
      }
      gathering.add(rest.subarray(0, missing));
      rest = rest.subarray(missing);
    }
  }
  yield { number, bytes: gathering.take(), last: true };
}

/** The bytes of one part, as they come. */
class Gathering {
  #block: Buffer;
  #lengthBytes = 0;

  constructor(block: Buffer) {
    this.#block = block;
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  add(piece: Uint8Array): void {
    const lengthBytes = this.#lengthBytes + piece.length;
    // Longer than was announced, which the digest of the whole tells in the end.
    if (lengthBytes > this.#block.length) this.#block = Buffer.concat([this.#block], 2 * lengthBytes);
    this.#block.set(piece, this.#lengthBytes);
    this.#lengthBytes = lengthBytes;
  }

  take(): Buffer {
    return this.#block.subarray(0, this.#lengthBytes);
  }
}
