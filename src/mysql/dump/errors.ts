import { AppError } from '../../domain/errors.ts';
import { toAppError } from '../errors.ts';
import type { DumpEnd } from './dump-end.ts';

/** MySQL: ER_SOURCE_FATAL_ERROR_READING_BINLOG; what it is stands in the words only. */
const DUMP_FAILED = 1236;

/** The log has no name in the server's index any more. */
const GONE = /could not find first log file name/i;
/** The log is shorter than it was when it was listed. */
const SHORTER = /position > file size/i;
/** sql/rpl_binlog_sender.cc, log_read_error_msg: what is in the file keeps the server from sending it. */
const DAMAGED = /bogus data|truncated in the middle of event|crc check|checksum/i;
/** An event above 1 GiB, the largest that a server sends. */
const TOO_LARGE = /max_allowed_packet/i;
/** ER_CANT_REPLICATE_ANONYMOUS_WITH_AUTO_POSITION, ER_CANT_REPLICATE_ANONYMOUS_WITH_GTID_MODE_ON. */
const ANONYMOUS = /anonymous/i;

/** What was asked for, for messages. */
export interface DumpContext {
  readonly where: string;
  readonly user: string;
  readonly binlog: string;
}

/**
 * What a server says instead of a log. `BinlogNotOnServer` and `DumpEndedEarly` are settled by a new look at the
 * server; `BinlogNotServed` stays, however often it is tried.
 */
export function dumpError(
  { errno, message: said }: Extract<DumpEnd, { kind: 'error' }>,
  context: DumpContext,
): AppError {
  const message = said.replace(/\.$/, '');
  if (errno !== DUMP_FAILED) {
    // As mysql2 would have thrown it; a SQLSTATE tells that the server spoke.
    return toAppError(Object.assign(new Error(message), { errno, sqlState: 'HY000' }), context);
  }
  const { where, binlog } = context;
  const facts = { server: where, binlog, errno };
  if (GONE.test(message)) {
    const text = `MySQL at ${where} has no ${binlog} any more, so it cannot be read.`;
    return new AppError({ code: 'BinlogNotOnServer', kind: 'unavailable', message: text, facts });
  }
  const why = notServed(message);
  if (why !== null) {
    const text = `MySQL at ${where} does not send ${binlog}: ${message}. ${why.meaning}`;
    return new AppError({ code: 'BinlogNotServed', kind: why.kind, message: text, hint: why.hint, facts });
  }
  const code = SHORTER.test(message) ? 'DumpEndedEarly' : 'DumpFailed';
  const text = `MySQL at ${where} stopped sending ${binlog}: ${message}.`;
  return new AppError({ code, kind: 'unavailable', message: text, facts });
}

/** True where the server has the log and does not send it, however often it is asked. */
export function isNotServed(error: unknown): boolean {
  return error instanceof AppError && error.code === 'BinlogNotServed';
}

function notServed(
  message: string,
): { readonly kind: 'corrupt' | 'refused'; readonly meaning: string; readonly hint: string } | null {
  if (TOO_LARGE.test(message)) {
    return {
      kind: 'refused',
      meaning: 'It holds an event above 1 GiB, which no server sends, neither to a replica nor to pitrail.',
      hint: 'Archive it in host mode, where its file is; or accept the gap and take a base backup.',
    };
  }
  if (ANONYMOUS.test(message)) {
    return {
      kind: 'refused',
      meaning: 'It holds transactions from before gtid_mode=ON, which no restore could place.',
      hint: 'Accept the gap (pitrail archive --accept-gap) and take a base backup after it.',
    };
  }
  if (DAMAGED.test(message)) {
    return {
      kind: 'corrupt',
      meaning: "The server's own file is damaged.",
      hint: 'Look for a whole copy of it on a replica; else accept the gap and take a base backup.',
    };
  }
  return null;
}

/** What came is no answer to a dump request; the next connection may be sound. */
export function dumpMalformed(what: string): AppError {
  return new AppError({
    code: 'DumpMalformed',
    kind: 'unavailable',
    message: `What came from the server is no binlog stream (${what}), so the connection was closed.`,
    hint: 'If it happens again, look for a proxy between that changes the bytes.',
    facts: { what },
  });
}

/** Nothing came for too long. */
export function dumpStalled({ where, binlog }: DumpContext, idleMs: number): AppError {
  return new AppError({
    code: 'DumpStalled',
    kind: 'unavailable',
    message: `MySQL at ${where} sent nothing of ${binlog} for ${idleMs} ms, so the connection was closed.`,
    hint: 'What came is kept; reading goes on from there by itself.',
    facts: { server: where, binlog, idleMs },
  });
}

/** The connection ended inside the log. */
export function dumpCut({ where, binlog }: DumpContext, cause?: unknown): AppError {
  return new AppError({
    code: 'DumpCut',
    kind: 'unavailable',
    message: `The connection to MySQL at ${where} ended in the middle of ${binlog}.`,
    hint: 'What came is kept; reading goes on from there by itself.',
    facts: { server: where, binlog },
    ...(cause === undefined ? {} : { cause }),
  });
}
