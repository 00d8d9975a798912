import { type KeyObject, randomUUID } from 'node:crypto';
import { CATALOG_FORMAT, type CatalogBody, type CatalogEntry } from '../domain/catalog-entry.ts';
import { parseRepositoryId, type RepositoryId } from '../domain/identity.ts';
import { catalogKey } from '../domain/object-keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { CatalogHead, ChainPoint } from './chain.ts';
import { digestOf, type EncodedEntry, encodeEntry } from './entry-codec.ts';
import { assertEpoch } from './epoch.ts';
import { fetchSmall, MAX_ENTRY_BYTES, once } from './fetch.ts';
import { CatalogState, pointOf } from './fold.ts';
import { PACK_ENTRIES, packOf, writePack } from './packs.ts';
import { type ReadThrough, readChain } from './reader.ts';
import { entryVanished, foreignRepository, repositoryMissing, rolledBack } from './refusals.ts';
import { assertReadable, decodeStanding, isSameAppend } from './standing.ts';

export interface CatalogOptions {
  /** The cluster that the repository must belong to; without it any is read. */
  readonly cluster?: string;
  /** Ed25519 private key; entries are signed where it is given. */
  readonly signingKey?: KeyObject;
  /** Ed25519 public key; an entry without its signature is then `corrupt`. */
  readonly trustedKey?: KeyObject;
}

/** Who appends, in which epoch, and when: `at` is RFC 3339 in UTC. */
export interface AppendBy {
  /** `host/process id/worker role`. */
  readonly writer: string;
  readonly epoch: number;
  readonly at: string;
}

/** `stands`: what was to be appended is there already, so nothing is written. */
export type Judgement =
  | { readonly decision: 'append' }
  | { readonly decision: 'stands'; readonly sequence: number };

/**
 * Judges an append against the state that it would follow: before the first try, and again whenever
 * another writer came first. A veto throws.
 */
export type Judge = (state: CatalogState) => Judgement;

export interface ReadRequest {
  /** A head that someone has seen: a catalog that ends before it, or differs there, was rolled back. */
  readonly expectAtLeast?: CatalogHead;
  /** `packs` unless said otherwise; `entries` proves every single object. */
  readonly through?: ReadThrough;
}

/** Opens the catalog of a store. Nothing is read yet. */
export function openCatalog(store: ObjectStore, options: CatalogOptions = {}): Catalog {
  return new Catalog(store, options);
}

/** The append-only log of what one store holds. Keeps the last state, so that reading again reads what is new. */
export class Catalog {
  readonly store: ObjectStore;
  readonly #options: CatalogOptions;
  #held: CatalogState | null = null;
  #damagedPacks: readonly number[] = [];

  constructor(store: ObjectStore, options: CatalogOptions) {
    this.store = store;
    this.#options = options;
  }

  /** The state that was read last; null before the first read. Others may have appended since. */
  get known(): CatalogState | null {
    return this.#held;
  }

  /** Lets the state go, for a reader of several catalogs that keeps what it needs of each: the next read is a whole one. */
  forget(): void {
    this.#held = null;
  }

  /** Packs met so far that do not fit the chain; reading does without them, an operator removes them. */
  get damagedPacks(): readonly number[] {
    return this.#damagedPacks;
  }

  /**
   * Reads and verifies the catalog. Another read of this object takes only what is new.
   * @throws refused `RepositoryMissing` (nothing was ever created here), refused `ForeignRepository`,
   *   refused `NewerCatalogFormat`, corrupt `CatalogBroken` with the first bad sequence in its facts
   */
  async read(request: ReadRequest = {}): Promise<CatalogState> {
    const state = await this.readIfAny(request);
    if (state === undefined) throw repositoryMissing(this.store.location);
    return state;
  }

  /** As `read`; undefined where the store holds no repository. */
  async readIfAny(request: ReadRequest = {}): Promise<CatalogState | undefined> {
    const through = request.through ?? 'packs';
    const held = through === 'packs' ? this.#held : null;
    if (held !== null) await this.#confirm(held.head);
    const state = await this.#readOnto(held, through);
    if (request.expectAtLeast !== undefined) await this.#expect(state, request.expectAtLeast);
    if (state === undefined) return undefined;
    this.#checkCluster(state, this.#options.cluster);
    return this.#hold(state);
  }

  /**
   * Appends an entry after the newest one; its creation is the commit. Where another writer came first
   * it walks on, asks `judge` again and tries the next sequence. An entry of this very writer with this
   * very body is success: the answer to its creation was lost.
   * A crash after the creation leaves the entry; a crash before it leaves nothing.
   * @returns the entry that stands, new or found by the judge
   * A handoff is appended in the epoch behind the one that stands, everything else in that one.
   * @throws conflict `StaleEpoch`, `HandoffMissing`, what `judge` throws, and all that `read` throws
   */
  async append(
    body: CatalogBody,
    by: AppendBy,
    judge: Judge = () => ({ decision: 'append' }),
  ): Promise<CatalogEntry> {
    let state = this.#held ?? (await this.read());
    for (;;) {
      // A handoff that stands already has raised the epoch itself, so its judge is asked first.
      if (body.kind !== 'handoff') assertEpoch(this.store.location, by, body.kind, state.epoch);
      const judgement = judge(state);
      if (judgement.decision === 'stands') return this.#entryAt(judgement.sequence);
      assertEpoch(this.store.location, by, body.kind, state.epoch);
      const encoded = this.#encode(body, by, pointOf(state), state.repositoryId);
      const outcome = await this.#create(encoded);
      // Read back: a store that checks its precondition before it writes, and not while, tells two
      // racing writers that they created the entry, and keeps one of them.
      if (outcome === 'created' && (await this.#stands(encoded))) {
        return this.#committed(CatalogState.fold(state, [encoded]), encoded.entry);
      }
      state = await this.read();
      const standing = await this.#entryAt(encoded.entry.sequence);
      if (isSameAppend(standing, encoded.entry)) return this.#committed(state, standing);
    }
  }

  /**
   * Makes the repository of a cluster, or finds it made; of racing processes one makes it.
   * @param repositoryId proposed for a new repository; the state says which one stands
   * @throws refused `ForeignRepository` where the store belongs to another cluster
   */
  async init(
    cluster: string,
    by: AppendBy,
    repositoryId: RepositoryId = parseRepositoryId(randomUUID()),
  ): Promise<CatalogState> {
    const found = await this.readIfAny();
    if (found === undefined) {
      const body: CatalogBody = { kind: 'repository-created', cluster, createdBy: by.writer };
      const encoded = this.#encode(body, by, null, repositoryId);
      await this.#create(encoded);
    }
    const state = found ?? (await this.read());
    this.#checkCluster(state, cluster);
    return state;
  }

  async #readOnto(held: CatalogState | null, through: ReadThrough): Promise<CatalogState | undefined> {
    const { entries, damagedPacks } = await readChain({
      store: this.store,
      after: held === null ? null : pointOf(held),
      trustedKey: this.#options.trustedKey ?? null,
      through,
      search: held === null ? 'look-ahead-and-listing' : 'look-ahead',
    });
    this.#damagedPacks = [...new Set([...this.#damagedPacks, ...damagedPacks])];
    return held === null && entries.length === 0 ? undefined : CatalogState.fold(held, entries);
  }

  /** Two reads may end in any order; the longer state is kept. */
  #hold(state: CatalogState): CatalogState {
    if (this.#held === null || state.head.sequence > this.#held.head.sequence) this.#held = state;
    return state;
  }

  #checkCluster(state: CatalogState, cluster: string | undefined): void {
    if (cluster !== undefined && cluster !== state.cluster) {
      throw foreignRepository(this.store.location, cluster, state);
    }
  }

  async #expect(state: CatalogState | undefined, head: CatalogHead): Promise<void> {
    const end = state?.head.sequence ?? 0;
    if (end < head.sequence)
      throw rolledBack(this.store.location, end + 1, `it ends at ${end}, and ${head.sequence} was seen`);
    await this.#confirm(head);
  }

  /** Reads the entry of a known head again: it must stand as it was. */
  async #confirm(head: CatalogHead): Promise<void> {
    const bytes = await fetchSmall(this.store, catalogKey(head.sequence), MAX_ENTRY_BYTES, null);
    if (bytes !== undefined && digestOf(bytes) === head.sha256) return;
    const what = bytes === undefined ? 'is gone' : 'is another one than was seen';
    throw rolledBack(this.store.location, head.sequence, `entry ${head.sequence} ${what}`);
  }

  /** True where the store holds this entry, byte for byte. */
  async #stands({ entry, sha256 }: EncodedEntry): Promise<boolean> {
    const bytes = await fetchSmall(this.store, catalogKey(entry.sequence), MAX_ENTRY_BYTES, null);
    return bytes !== undefined && digestOf(bytes) === sha256;
  }

  #encode(
    body: CatalogBody,
    by: AppendBy,
    after: ChainPoint | null,
    repositoryId: RepositoryId,
  ): EncodedEntry {
    const unsigned: Omit<CatalogEntry, 'signature'> = {
      format: CATALOG_FORMAT,
      sequence: (after?.head.sequence ?? 0) + 1,
      repositoryId,
      previous: after?.head.sha256 ?? null,
      writer: by.writer,
      epoch: by.epoch,
      writtenAt: by.at,
      body,
    };
    const encoded = encodeEntry(unsigned, this.#options.signingKey ?? null);
    assertReadable(encoded);
    return encoded;
  }

  async #create(encoded: EncodedEntry): Promise<'created' | 'exists'> {
    const key = catalogKey(encoded.entry.sequence);
    const outcome = await this.store.create(key, once(encoded.bytes), { lengthBytes: encoded.bytes.length });
    return outcome.status;
  }

  /** A crash before a pack is written leaves it to the writer of the next one. */
  async #committed(state: CatalogState, entry: CatalogEntry): Promise<CatalogEntry> {
    this.#hold(state);
    if (entry.sequence % PACK_ENTRIES === 0) {
      const pack = packOf(entry.sequence);
      if (pack > 1) await writePack(this.store, pack - 1);
      await writePack(this.store, pack);
    }
    return entry;
  }

  async #entryAt(sequence: number): Promise<CatalogEntry> {
    const bytes = await fetchSmall(this.store, catalogKey(sequence), MAX_ENTRY_BYTES, null);
    if (bytes === undefined) throw entryVanished(this.store.location, sequence);
    return decodeStanding(this.store.location, bytes, sequence);
  }
}
