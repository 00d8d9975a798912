import type { SqlContext } from './events.ts';

/** A piece of SQL. Comments and white space are no tokens. */
export type Token =
  /** Keyword, name or number without quotes; `upper` is for comparing. */
  | { readonly kind: 'word'; readonly upper: string; readonly start: number; readonly end: number }
  /** Name in backticks (or in double quotes under ANSI_QUOTES). */
  | { readonly kind: 'name'; readonly start: number; readonly end: number }
  | { readonly kind: 'string'; readonly start: number; readonly end: number }
  /** `@name`; the part after `@` from `start` to `end`, with its quotes. */
  | { readonly kind: 'user-variable'; readonly start: number; readonly end: number }
  | { readonly kind: 'system-variable'; readonly start: number; readonly end: number }
  | { readonly kind: 'symbol'; readonly symbol: string; readonly start: number; readonly end: number };

/** `sql_mode` bits. Source: MySQL sql/system_variables.h. */
const MODE_ANSI_QUOTES = 4;
const MODE_NO_BACKSLASH_ESCAPES = 0x100000;

/**
 * Collations of character sets whose second byte may be a backslash or a quote: big5, sjis,
 * gbk, cp932, gb18030. In all others a byte below 0x80 is always itself.
 */
const DOUBLE_BYTE = new Set([1, 84, 13, 88, 28, 87, 95, 96, 248, 249, 250]);

const BACKTICK = 0x60;
const SINGLE = 0x27;
const DOUBLE = 0x22;
const BACKSLASH = 0x5c;
const AT = 0x40;
const STAR = 0x2a;
const SLASH = 0x2f;

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte === 0;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isWordByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (
    isDigit(byte) || (letter >= 0x61 && letter <= 0x7a) || byte === 0x5f || byte === 0x24 || byte >= 0x80
  );
}

/** Decodes bytes of SQL for people: UTF-8 where they are, else one character a byte. */
export function decodeText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return text.includes('\ufffd') ? Buffer.from(bytes).toString('latin1') : text;
}

/**
 * Reads SQL as MySQL's lexer does: quotes with escapes and doubling, the three kinds of comment,
 * and the content of executable comments (`/*! … *\/`), which counts. Any bytes are accepted; an
 * end inside a string or comment ends the text there, because a prefix is a valid input.
 */
export class SqlTokenizer {
  readonly #sql: Uint8Array;
  readonly #ansiQuotes: boolean;
  readonly #escapes: boolean;
  readonly #doubleByte: boolean;
  #at = 0;
  #executable = 0;

  constructor(sql: Uint8Array, context: SqlContext) {
    this.#sql = sql;
    this.#ansiQuotes = (context.sqlMode & MODE_ANSI_QUOTES) !== 0;
    this.#escapes = (context.sqlMode & MODE_NO_BACKSLASH_ESCAPES) === 0;
    this.#doubleByte = DOUBLE_BYTE.has(context.clientCollation);
  }

  /** The next token; null at the end. */
  next(): Token | null {
    this.#skipBlank();
    const start = this.#at;
    if (start >= this.#sql.length) return null;
    const byte = this.#sql[start] as number;
    if (byte === BACKTICK || (byte === DOUBLE && this.#ansiQuotes)) {
      return { kind: 'name', start, end: this.#quoted(byte) };
    }
    if (byte === SINGLE || byte === DOUBLE) return { kind: 'string', start, end: this.#quoted(byte) };
    if (byte === AT) return this.#variable(start);
    if (isWordByte(byte)) return this.#word(start);
    this.#at = start + 1;
    return { kind: 'symbol', symbol: String.fromCharCode(byte), start, end: start + 1 };
  }

  /** The name that a token writes, without its quotes. */
  nameOf(token: Token): string {
    const quote = this.#sql[token.start] as number;
    if (quote !== BACKTICK && quote !== DOUBLE && quote !== SINGLE) {
      return decodeText(this.#sql.subarray(token.start, token.end));
    }
    const closed = token.end - 1 > token.start && this.#sql[token.end - 1] === quote;
    const inner = this.#sql.subarray(token.start + 1, closed ? token.end - 1 : token.end);
    const mark = String.fromCharCode(quote);
    return decodeText(inner).replaceAll(mark + mark, mark);
  }

  #word(start: number): Token {
    const end = this.#wordEnd(start);
    this.#at = end;
    const text = Buffer.from(this.#sql.subarray(start, Math.min(end, start + 160))).toString('latin1');
    return { kind: 'word', upper: text.toUpperCase(), start, end };
  }

  #wordEnd(start: number): number {
    let at = start;
    while (at < this.#sql.length && isWordByte(this.#sql[at] as number)) at += this.#isLead(at) ? 2 : 1;
    return Math.min(at, this.#sql.length);
  }

  #variable(at: number): Token {
    if (this.#sql[at + 1] === AT) {
      this.#at = this.#wordEnd(at + 2);
      return { kind: 'system-variable', start: at + 2, end: this.#at };
    }
    const start = at + 1;
    const byte = this.#sql[start];
    if (byte === BACKTICK || byte === SINGLE || byte === DOUBLE) {
      this.#at = start;
      return { kind: 'user-variable', start, end: this.#quoted(byte) };
    }
    let end = start;
    while (end < this.#sql.length && (isWordByte(this.#sql[end] as number) || this.#sql[end] === 0x2e))
      end += 1;
    this.#at = end;
    return { kind: 'user-variable', start, end };
  }

  /** True where this byte and the next are one character. */
  #isLead(at: number): boolean {
    return this.#doubleByte && (this.#sql[at] as number) >= 0x81;
  }

  /** Moves behind a quoted text and returns that place. */
  #quoted(quote: number): number {
    let at = this.#at + 1;
    while (at < this.#sql.length) {
      const byte = this.#sql[at] as number;
      if (this.#isLead(at)) at += 2;
      else if (byte === BACKSLASH && this.#escapes && quote !== BACKTICK) at += 2;
      else if (byte !== quote) at += 1;
      else if (this.#sql[at + 1] === quote) at += 2;
      else break;
    }
    this.#at = Math.min(at + 1, this.#sql.length);
    return this.#at;
  }

  #skipBlank(): void {
    for (;;) {
      const at = this.#at;
      if (at >= this.#sql.length) return;
      const byte = this.#sql[at] as number;
      const next = this.#sql[at + 1];
      if (isSpace(byte)) this.#at += 1;
      else if (byte === 0x23) this.#skipLine();
      else if (byte === 0x2d && next === 0x2d && this.#endsDashes(at + 2)) this.#skipLine();
      else if (byte === SLASH && next === STAR) this.#skipComment();
      else if (byte === STAR && next === SLASH && this.#executable > 0) {
        this.#executable -= 1;
        this.#at += 2;
      } else return;
    }
  }

  /** `--` begins a comment only before white space, a control character or the end. */
  #endsDashes(at: number): boolean {
    const byte = this.#sql[at];
    return byte === undefined || byte <= 0x20;
  }

  #skipLine(): void {
    const end = this.#sql.indexOf(0x0a, this.#at);
    this.#at = end === -1 ? this.#sql.length : end + 1;
  }

  #skipComment(): void {
    if (this.#sql[this.#at + 2] === 0x21) {
      this.#executable += 1;
      this.#at += 3;
      for (let digits = 0; digits < 6 && isDigit(this.#sql[this.#at] ?? 0); digits++) this.#at += 1;
      return;
    }
    let at = this.#sql.indexOf(STAR, this.#at + 2);
    while (at !== -1 && this.#sql[at + 1] !== SLASH) at = this.#sql.indexOf(STAR, at + 1);
    this.#at = at === -1 ? this.#sql.length : at + 2;
  }
}
