import { EVENT } from './event-types.ts';
import { decodeUserVarName, type QueryEvent } from './events.ts';
import type { Frame } from './frame.ts';
import { corruptAt } from './problem.ts';
import { decodeText, SqlTokenizer, type Token } from './sql-tokens.ts';

const AT = 0x40;
const READS_VARIABLES = new Set(['INSERT', 'REPLACE', 'UPDATE', 'DELETE']);
/** More names than this are not remembered, and then nothing is claimed to be missing. */
const MAX_NAMES = 4096;

/**
 * Proves that a STATEMENT change has the user variables that it reads. A server writes a USER_VAR
 * for each variable that such a statement reads, also for one that was never set. For INTVAR and
 * RAND a text alone proves nothing: a column's default or a trigger may need them.
 */
export class StatementContext {
  readonly #names = new Set<string>();

  /** Takes USER_VAR. */
  userVariable(frame: Frame): void {
    if (this.#names.size < MAX_NAMES) this.#names.add(key(decodeUserVarName(frame)));
  }

  /** Forgets: the statement, or the transaction, is over. */
  clear(): void {
    if (this.#names.size > 0) this.#names.clear();
  }

  /** Takes a QUERY. @throws corrupt where a variable is read that the log does not hold */
  check(frame: Frame, query: QueryEvent): void {
    if (frame.type === EVENT.QUERY && query.sql.includes(AT) && this.#names.size < MAX_NAMES) {
      const missing = this.#missing(frame, query);
      if (missing !== null) {
        throw corruptAt(
          frame,
          'statement-context-missing',
          `the statement reads @${missing}, and no USER_VAR before it holds its value`,
        );
      }
    }
    this.clear();
  }

  #missing(frame: Frame, query: QueryEvent): string | null {
    const tokens = new SqlTokenizer(query.sql, query);
    const verb = tokens.next();
    if (verb?.kind !== 'word' || !READS_VARIABLES.has(verb.upper)) return null;
    let token = tokens.next();
    while (token !== null) {
      const after = tokens.next();
      const cut = frame.extent === 'prefix' && after === null;
      if (token.kind === 'user-variable' && !isAssigned(after) && !cut) {
        const name = tokens.nameOf(token);
        // Names in other alphabets are folded by the server in ways that are not repeated here.
        if (/^[\x20-\x7e]+$/.test(name) && !this.#names.has(name.toLowerCase())) return name;
      }
      token = after;
    }
    return null;
  }
}

function isAssigned(after: Token | null): boolean {
  return after?.kind === 'symbol' && after.symbol === ':';
}

function key(name: Uint8Array): string {
  return decodeText(name).toLowerCase();
}
