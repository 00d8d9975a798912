/**
 * Blocks of memory that are lent and come back. A stream that allocates each chunk anew leaves many
 * MiB behind before anybody collects them; whoever knows when a chunk is done with gives it back instead.
 */
export class LentMemory {
  readonly #lent = new Set<ArrayBufferLike>();
  #idle: Buffer[] = [];

  /** A block of `bytes`; its content is whatever was there. */
  take(bytes: number): Buffer {
    const at = this.#idle.findIndex((idle) => idle.length === bytes);
    const [found] = at < 0 ? [] : this.#idle.splice(at, 1);
    const block = found ?? Buffer.allocUnsafeSlow(bytes);
    this.#lent.add(block.buffer);
    return block;
  }

  /** Takes back the block that the chunk is a part of; nobody may look at it any more. Other memory is left alone. */
  giveBack(chunk: Uint8Array): void {
    if (!this.#lent.delete(chunk.buffer)) return;
    this.#idle.push(Buffer.from(chunk.buffer));
  }
}

/**
 * Frees a chunk at once, which would otherwise stay until the next collection. Only for who made the
 * chunk, or was given it alone: nobody may look at its memory any more, it is gone. A small slice of
 * memory that others may use, too, stays.
 */
export function freeNow(chunk: Uint8Array): void {
  const { buffer, byteLength } = chunk;
  // Node hands out slices of less than half of a slab.
  if (2 * byteLength > buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** `freeNow` for a chunk that a store gave: only where it is all of its memory, so that no other chunk lies there. */
export function freeIfWhole(chunk: Uint8Array): void {
  if (chunk.byteLength === chunk.buffer.byteLength) freeNow(chunk);
}

/** In the place of `freeNow` for chunks that belong to somebody else. */
export function leaveAlone(): void {
  // Whoever made them looks after them.
}
