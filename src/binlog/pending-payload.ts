import { EVENT } from './event-types.ts';
import { decodePayloadHeader, decodeQuery } from './events.ts';
import type { OpenTransaction } from './facts.ts';
import type { Frame, FrameSink } from './frame.ts';
import { PayloadOpener } from './payload.ts';
import type { Place } from './problem.ts';
import { classifyStatement, type Statement } from './sql.ts';
import { decodeText } from './sql-tokens.ts';

/** Enough of a payload event's body to hold its header fields. */
const HEADER_ROOM = 4096;

/** Takes what is inside a transaction. */
export interface PayloadContent {
  statement(statement: Statement, sql: Uint8Array): void;
  /** Any other event. @throws corrupt */
  event(frame: Frame): void;
  /** A part of a large event's body. @throws corrupt */
  piece(frame: Frame, bytes: Uint8Array, start: number, end: number): void;
}

/**
 * A compressed transaction on its way: its bytes are collected while a chunk is scanned, and
 * opened when the chunk is done. It never holds more than the bytes of one chunk.
 */
export class PendingPayload<Content extends PayloadContent> implements FrameSink {
  readonly transaction: OpenTransaction;
  /** Has taken all of the transaction once the payload is opened. */
  readonly content: Content;
  readonly #place: Place;
  readonly #bodyBytes: number;
  #pieces: Uint8Array[] = [];
  #state: 'arriving' | 'arrived' | 'opened' = 'arriving';
  #opener: PayloadOpener | null = null;

  constructor(frame: Frame, transaction: OpenTransaction, content: Content) {
    this.transaction = transaction;
    this.content = content;
    this.#place = { file: frame.file, offset: frame.offset, type: frame.type };
    this.#bodyBytes = frame.bodyBytes;
  }

  get state(): 'arriving' | 'arrived' | 'opened' {
    return this.#state;
  }

  /** Copies a part of the event's body. */
  take(bytes: Uint8Array, start: number, end: number): void {
    this.#pieces.push(Uint8Array.from(bytes.subarray(start, end)));
  }

  /** Says that all of the body was taken. */
  arrived(): void {
    this.#state = 'arrived';
  }

  /** Opens what has come so far. @throws corrupt */
  async feed(): Promise<void> {
    const opener = this.#opener ?? this.#begin();
    if (opener === null) return;
    for (const piece of this.#pieces) await opener.write(piece);
    this.#pieces = [];
    if (this.#state !== 'arrived') return;
    await opener.end();
    this.#state = 'opened';
  }

  discard(): void {
    this.#opener?.discard();
  }

  /** For the framer inside: takes an event of the compressed transaction. */
  event(frame: Frame): void {
    if (frame.type === EVENT.QUERY) {
      const query = decodeQuery(frame);
      this.content.statement(classifyStatement(query.sql, decodeText(query.schema), query), query.sql);
    } else this.content.event(frame);
  }

  /** For the framer inside. */
  piece(frame: Frame, bytes: Uint8Array, start: number, end: number): void {
    this.content.piece(frame, bytes, start, end);
  }

  /** Reads the header fields, where they have come, and leaves the payload behind them. */
  #begin(): PayloadOpener | null {
    const joined = Buffer.concat(this.#pieces);
    if (joined.length < HEADER_ROOM && this.#state === 'arriving') return null;
    const header = decodePayloadHeader(joined, 0, joined.length, this.#bodyBytes, this.#place);
    this.#pieces = [joined.subarray(header.payloadStart)];
    this.#opener = new PayloadOpener({ place: this.#place, header, sink: this });
    return this.#opener;
  }
}
