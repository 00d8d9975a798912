import type { KeyObject } from 'node:crypto';
import { catalogKey } from '../domain/object-keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { blameLink } from './blame.ts';
import { BreakFound, catalogBroken } from './broken.ts';
import { type ChainPoint, pointAfter, verifyNext } from './chain.ts';
import type { DigestedEntry } from './entry-codec.ts';
import { fetchSmall, MAX_ENTRY_BYTES } from './fetch.ts';
import { findBeyond, type HoleSearch } from './holes.ts';
import { firstOf, type PackRead, packOf, readPack, readSingles } from './packs.ts';
import { readAhead } from './read-ahead.ts';

/** `packs`: what packs hold is taken from there. `entries`: every single entry is read, packs are not. */
export type ReadThrough = 'packs' | 'entries';

export interface ChainRequest {
  readonly store: ObjectStore;
  /** Read what follows this point; null reads from the first entry. */
  readonly after: ChainPoint | null;
  readonly trustedKey: KeyObject | null;
  readonly through: ReadThrough;
  readonly search: HoleSearch;
}

export interface ChainRead {
  readonly entries: readonly DigestedEntry[];
  /** Packs whose bytes do not fit the chain; the single entries do, and were read instead. */
  readonly damagedPacks: readonly number[];
}

/**
 * Reads and verifies all entries after a point, up to the end of the catalog. Packs are only a
 * faster way to the same bytes: where the chain breaks through them, all is read again entry by entry.
 * @throws corrupt `CatalogBroken` with the first bad sequence; refused for a newer format
 */
export async function readChain(request: ChainRequest): Promise<ChainRead> {
  try {
    return await new ChainReader(request).read();
  } catch (error) {
    if (!(error instanceof BreakFound)) throw error;
    if (request.through === 'packs') {
      const read = await readChain({ ...request, through: 'entries' });
      return { ...read, damagedPacks: [packOf(Math.max(1, error.found.sequence - 1))] };
    }
    const isVerifiedBefore = error.found.sequence - 1 === (request.after?.head.sequence ?? 0);
    const blame = error.found.reason === 'link' && !isVerifiedBefore;
    throw catalogBroken(
      request.store.location,
      blame ? await blameLink(request.store, error.found) : error.found,
    );
  }
}

class ChainReader {
  readonly #request: ChainRequest;
  readonly #entries: DigestedEntry[] = [];
  readonly #damaged: number[] = [];
  #point: ChainPoint | null;
  /** The pack that the read-ahead answers next; each is asked for once. */
  #nextPack: number;

  constructor(request: ChainRequest) {
    this.#request = request;
    this.#point = request.after;
    this.#nextPack = packOf(this.#next - 1) + 1;
  }

  get #next(): number {
    return (this.#point?.head.sequence ?? 0) + 1;
  }

  async read(): Promise<ChainRead> {
    const { store } = this.#request;
    const firstPack = this.#nextPack;
    const packs = readAhead((index, signal) => readPack(store, firstPack + index, signal), 4);
    try {
      do {
        await this.#walk(packs);
      } while (await this.#hasMore());
    } finally {
      await packs.return(undefined);
    }
    return { entries: this.#entries, damagedPacks: this.#damaged };
  }

  /** Goes on until a single entry is missing. */
  async #walk(packs: AsyncGenerator<PackRead>): Promise<void> {
    for (;;) {
      const pack = packOf(this.#next);
      const atStart = this.#next === firstOf(pack);
      if (atStart && this.#request.through === 'packs' && (await this.#takePack(pack, packs))) continue;
      if (!(await this.#takeSingles(firstOf(pack + 1)))) return;
    }
  }

  /** True where the pack was there and fits; the point then stands at its end. */
  async #takePack(pack: number, packs: AsyncGenerator<PackRead>): Promise<boolean> {
    if (pack !== this.#nextPack) return false;
    this.#nextPack += 1;
    const read = (await packs.next()).value as PackRead;
    if (read.status === 'absent') return false;
    if (read.status === 'read' && this.#takeAll(read.entries)) return true;
    this.#damaged.push(pack);
    return false;
  }

  #takeAll(all: readonly Uint8Array[]): boolean {
    const point = this.#point;
    const length = this.#entries.length;
    try {
      for (const bytes of all) this.#take(bytes);
      return true;
    } catch (error) {
      if (!(error instanceof BreakFound)) throw error;
      this.#point = point;
      this.#entries.length = length;
      return false;
    }
  }

  /** False where an entry before `end` is missing. */
  async #takeSingles(end: number): Promise<boolean> {
    for await (const bytes of readSingles(this.#request.store, this.#next)) {
      if (bytes === undefined) return false;
      this.#take(bytes);
      if (this.#next === end) return true;
    }
    return false;
  }

  #take(bytes: Uint8Array): void {
    const digested = verifyNext(this.#point, this.#next, bytes, this.#request.trustedKey);
    this.#entries.push(digested);
    this.#point = pointAfter(digested);
  }

  /** After a missing entry: false at the end of the catalog, true where it was written meanwhile. */
  async #hasMore(): Promise<boolean> {
    const { store, search } = this.#request;
    const missing = this.#next;
    const beyond = await findBeyond(store, missing, search);
    if (beyond === undefined) return false;
    if ((await fetchSmall(store, catalogKey(missing), MAX_ENTRY_BYTES, null)) !== undefined) return true;
    const detail = `entry ${missing} is missing, although entry ${beyond} stands (it was removed)`;
    throw new BreakFound({ sequence: missing, reason: 'missing', detail });
  }
}
