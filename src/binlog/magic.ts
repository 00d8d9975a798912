import { ENCRYPTED_MAGIC, MAGIC } from './event-header.ts';
import { type BinlogProblem, corruptAt, problemAt } from './problem.ts';

/** Checks the four bytes at a binlog's beginning, which may come in parts. */
export class MagicReader {
  readonly #file: string;
  readonly #bytes = new Uint8Array(MAGIC.length);
  #have = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Takes from a chunk what belongs to the magic; returns the index of the first byte after it. @throws corrupt */
  push(chunk: Uint8Array): number {
    if (this.#have === MAGIC.length) return 0;
    const count = Math.min(MAGIC.length - this.#have, chunk.length);
    this.#bytes.set(chunk.subarray(0, count), this.#have);
    this.#have += count;
    if (this.#have === MAGIC.length) this.#check();
    return count;
  }

  /** What is wrong where the file ends inside the magic; null where it does not. */
  end(): BinlogProblem | null {
    if (this.#have === MAGIC.length) return null;
    const place = { file: this.#file, offset: 0, type: null };
    return this.#have === 0
      ? problemAt(place, 'empty', 'the file is empty')
      : problemAt(place, 'not-a-binlog', `the file ends after ${this.#have} bytes`);
  }

  #check(): void {
    if (MAGIC.every((byte, index) => byte === this.#bytes[index])) return;
    const place = { file: this.#file, offset: 0, type: null };
    if (ENCRYPTED_MAGIC.every((byte, index) => byte === this.#bytes[index])) {
      throw corruptAt(
        place,
        'encrypted',
        'the log is encrypted by its server (binlog_encryption=ON), so it cannot be read from the file',
      );
    }
    const found = Buffer.from(this.#bytes).toString('hex');
    throw corruptAt(place, 'not-a-binlog', `a binlog begins with fe62696e, and this file with ${found}`);
  }
}
