import type { SqlContext } from './events.ts';
import { SqlTokenizer, type Token } from './sql-tokens.ts';

/** A table, view or event with its schema. */
export interface QualifiedName {
  readonly schema: string;
  readonly name: string;
}

/** Walks over the tokens of one statement with one token of look-ahead. */
export class SqlCursor {
  readonly sql: Uint8Array;
  readonly defaultSchema: string;
  readonly #tokens: SqlTokenizer;
  #peeked: Token | null;

  constructor(sql: Uint8Array, defaultSchema: string, context: SqlContext) {
    this.sql = sql;
    this.defaultSchema = defaultSchema;
    this.#tokens = new SqlTokenizer(sql, context);
    this.#peeked = this.#tokens.next();
  }

  /** The next token, not taken; null at the end. */
  get peek(): Token | null {
    return this.#peeked;
  }

  /** Takes the next token. */
  take(): Token | null {
    const token = this.#peeked;
    if (token !== null) this.#peeked = this.#tokens.next();
    return token;
  }

  /** The next word in upper case; '' where the next token is no word. */
  get word(): string {
    return this.#peeked?.kind === 'word' ? this.#peeked.upper : '';
  }

  isSymbol(symbol: string): boolean {
    return this.#peeked?.kind === 'symbol' && this.#peeked.symbol === symbol;
  }

  /** Takes the next token where it is one of these words. */
  skipWord(...words: readonly string[]): boolean {
    if (!words.includes(this.word)) return false;
    this.take();
    return true;
  }

  /** Takes these words where they follow in this order; a part of them is taken too. */
  skipWords(...words: readonly string[]): boolean {
    return words.every((word) => this.skipWord(word));
  }

  skipSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false;
    this.take();
    return true;
  }

  textOf(token: Token): string {
    return this.#tokens.nameOf(token);
  }

  /** Takes a name without its schema; null where none stands here. */
  name(): string | null {
    const token = this.#peeked;
    if (token === null || (token.kind !== 'word' && token.kind !== 'name')) return null;
    this.take();
    return this.textOf(token);
  }

  /** Takes `name` or `schema.name`; null where none stands here. */
  qualifiedName(): QualifiedName | null {
    const first = this.name();
    if (first === null) return null;
    if (!this.isSymbol('.')) return { schema: this.defaultSchema, name: first };
    this.take();
    return { schema: first, name: this.name() ?? '*' };
  }

  /** Takes tokens to the closing parenthesis; the opening one is taken already. */
  skipParentheses(): void {
    let depth = 1;
    while (depth > 0 && this.#peeked !== null) {
      if (this.isSymbol('(')) depth += 1;
      else if (this.isSymbol(')')) depth -= 1;
      this.take();
    }
  }

  /** Takes `DEFINER = user[@host]`, where it stands here. */
  skipDefiner(): void {
    if (!this.skipWord('DEFINER')) return;
    this.skipSymbol('=');
    this.take();
    if (this.skipSymbol('(')) this.skipParentheses();
    if (this.#peeked?.kind === 'user-variable') this.take();
  }
}
