import { createReadStream } from 'node:fs';
import { AppError } from '../domain/errors.ts';
import { isCode } from '../process/files.ts';
import {
  type AuditHead,
  type AuditLine,
  decodeNext,
  digestOf,
  EMPTY_HEAD,
  headBehind,
  linePrefix,
} from './audit-line.ts';

/** Longer than any line; what has none of its line feeds for so long is no audit file. */
const MAX_LINE_BYTES = 1024 * 1024;
const LINE_FEED = 0x0a;

/** A line that a crash cut, or that somebody cut: its bytes are the last of the file. */
export interface TornLine {
  /** From 1, as an editor counts. */
  readonly line: number;
  readonly lengthBytes: number;
  readonly sha256: string;
}

/** What a walk over a whole audit file found. */
export interface AuditWalk {
  readonly head: AuditHead;
  /** The cut line at the end; null where the last line is whole. */
  readonly torn: TornLine | null;
  /** Numbers of the lines that hold a cut line and, behind it, the note of it. */
  readonly mended: readonly number[];
}

/**
 * Reads an audit file from its beginning, verifies the chain and hands over each line. Streams: memory
 * does not grow with the file. A file that does not exist has no lines.
 * @throws corrupt `AuditBroken` with the number of the first bad line
 */
export async function walkAudit(file: string, visit: (line: AuditLine) => void): Promise<AuditWalk> {
  let head = EMPTY_HEAD;
  let number = 0;
  const mended: number[] = [];
  let rest: Uint8Array = new Uint8Array();
  for await (const { bytes, kind } of linesOf(file)) {
    number += 1;
    if (kind === 'unfinished') {
      rest = bytes;
      break;
    }
    const line = decodeNext(bytes, head) ?? decodeMended(bytes, head);
    if (line === null) throw broken(file, number);
    if (line.event.action === 'torn-line') mended.push(number);
    visit(line);
    head = headBehind(line);
  }
  if (rest.length > MAX_LINE_BYTES) throw broken(file, number);
  const torn = rest.length === 0 ? null : { line: number, lengthBytes: rest.length, sha256: digestOf(rest) };
  return { head, torn, mended };
}

/**
 * A cut line has no line feed, so the note of it stands behind it in the same line. The note names the
 * length and digest of what is before it: nothing else is passed over.
 */
function decodeMended(bytes: Uint8Array, head: AuditHead): AuditLine | null {
  const start = Buffer.from(bytes).lastIndexOf(linePrefix(head));
  if (start <= 0) return null;
  const note = decodeNext(bytes.subarray(start), head);
  if (note?.event.action !== 'torn-line') return null;
  const cut = bytes.subarray(0, start);
  return note.event.lengthBytes === cut.length && note.event.sha256 === digestOf(cut) ? note : null;
}

interface RawLine {
  /** Line feed included, where it has one. */
  readonly bytes: Uint8Array;
  readonly kind: 'whole' | 'unfinished';
}

async function* linesOf(file: string): AsyncGenerator<RawLine> {
  let pieces: Uint8Array[] = [];
  let gathered = 0;
  try {
    for await (const chunk of createReadStream(file)) {
      let from = 0;
      const bytes = chunk as Uint8Array;
      for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, from)) {
        yield { bytes: Buffer.concat([...pieces, bytes.subarray(from, end + 1)]), kind: 'whole' };
        pieces = [];
        gathered = 0;
        from = end + 1;
      }
      pieces.push(bytes.subarray(from));
      gathered += bytes.length - from;
      if (gathered > MAX_LINE_BYTES) break;
    }
  } catch (error) {
    if (!isCode(error, 'ENOENT', 'ENOTDIR')) throw error;
  }
  if (gathered > 0) yield { bytes: Buffer.concat(pieces), kind: 'unfinished' };
}

function broken(file: string, line: number): AppError {
  return new AppError({
    code: 'AuditBroken',
    kind: 'corrupt',
    message: `${file} was changed or cut at line ${line}, or just before it: from there on it proves nothing, and nothing was added to it.`,
    hint: 'Keep this file as it is for whoever looks into it, and move it away: a new one is begun.',
    facts: { file, line },
  });
}
