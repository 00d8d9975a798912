import type { ServerUuid } from '../domain/identity.ts';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function format(bytes: Uint8Array): ServerUuid {
  let text = '';
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-';
    text += HEX[bytes[i] as number];
  }
  return text as ServerUuid;
}

/** Turns 16 bytes into a UUID; remembers the last one, because most events of a log share it. */
export class UuidFormatter {
  readonly #last = new Uint8Array(16);
  #text: ServerUuid = format(this.#last);

  /** Formats the 16 bytes from `at` on; the caller has checked that they are there. */
  format(bytes: Uint8Array, at: number): ServerUuid {
    for (let i = 0; i < 16; i++) {
      if (bytes[at + i] === this.#last[i]) continue;
      this.#last.set(bytes.subarray(at, at + 16));
      this.#text = format(this.#last);
      break;
    }
    return this.#text;
  }
}
