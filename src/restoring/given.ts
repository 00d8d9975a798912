import { createHash } from 'node:crypto';
import { AppError } from '../domain/errors.ts';

/** What the reader of an object has got of it. */
export class Given {
  readonly #digest = createHash('sha256');
  readonly #isKept: boolean;
  #bytes = 0;

  /** @param isKept whether another stream of the object may follow the first */
  constructor(isKept: boolean) {
    this.#isKept = isKept;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Gives what is behind the given bytes of another stream of the same object, once those are proven to be the same. */
  async *rest(stream: AsyncIterable<Uint8Array>, key: string, storeId: string): AsyncGenerator<Uint8Array> {
    const known = this.#bytes;
    const again = createHash('sha256');
    let at = 0;
    for await (const chunk of stream) {
      const cut = Math.min(chunk.length, known - at);
      if (cut > 0) {
        again.update(chunk.subarray(0, cut));
        at += cut;
        if (at === known && again.digest('hex') !== this.#digest.copy().digest('hex'))
          throw storesDiffer(key, storeId, known);
      }
      const fresh = cut > 0 ? chunk.subarray(cut) : chunk;
      if (fresh.length === 0) continue;
      if (this.#isKept) this.#digest.update(fresh);
      this.#bytes += fresh.length;
      yield fresh;
    }
  }
}

/** True where one store began otherwise than what another had given of the object. */
export function isStoresDiffer(error: unknown): error is AppError {
  return error instanceof AppError && error.code === STORES_DIFFER;
}

const STORES_DIFFER = 'StoresDiffer';

function storesDiffer(key: string, storeId: string, bytes: number): AppError {
  return new AppError({
    code: STORES_DIFFER,
    kind: 'corrupt',
    message: `${key} begins otherwise in store ${storeId} than what was read of it before (${bytes} bytes), so one of the two is wrong, and it was not read on.`,
    hint: 'See which one: pitrail verify --deep. Then restore from the other: --store.',
    facts: { key, store: storeId, bytes },
  });
}
