import type { ErrorDocument } from './exit.ts';

/** `json`: results are JSON on stdout. `people`: results are text on stdout. Words go to stderr in both. */
export type OutputMode = 'json' | 'people';

export interface Streams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/**
 * The one way of a command to speak. With --json stdout holds one JSON document, or a line of JSON
 * for each item where a command streams, and nothing else.
 */
export class Output {
  readonly mode: OutputMode;
  readonly #streams: Streams;

  constructor(mode: OutputMode, streams: Streams) {
    this.mode = mode;
    this.#streams = streams;
  }

  /** A line for people, on stderr always. */
  say(line: string): void {
    this.#streams.stderr.write(`${line}\n`);
  }

  /** The result of the command: called once. bigint and Map do not travel as JSON, so a document has none. */
  result(document: unknown, forPeople: () => string): void {
    this.#streams.stdout.write(this.mode === 'json' ? `${JSON.stringify(document)}\n` : `${forPeople()}\n`);
  }

  /** One item of a command that streams; waits where the reader is slow. For people, null prints nothing. */
  async item(document: unknown, forPeople: () => string | null): Promise<void> {
    const text = this.mode === 'json' ? JSON.stringify(document) : forPeople();
    if (text === null) return;
    if (this.#streams.stdout.write(`${text}\n`)) return;
    await new Promise<void>((resolve) => this.#streams.stdout.once('drain', resolve));
  }

  /** An error: words on stderr; with --json also a document `{"error": …}` on stdout, for programs. */
  failure(document: ErrorDocument, words: readonly string[]): void {
    for (const line of words) this.say(line);
    if (this.mode === 'json') this.#streams.stdout.write(`${JSON.stringify(document)}\n`);
  }
}
