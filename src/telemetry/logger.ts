import { Writable } from 'node:stream';
import { type Logger, pino, stdSerializers } from 'pino';
import { AppError } from '../domain/errors.ts';
import { traceFields } from './trace.ts';

export type { Logger } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** `json`: one JSON object a line, for machines. `lines`: time, level, words, for a terminal. */
export type LogForm = 'json' | 'lines';

export interface LogOptions {
  readonly level: LogLevel;
  readonly form: LogForm;
  /** Where lines go; stderr in programs, because stdout belongs to results. */
  readonly to: NodeJS.WritableStream;
}

/** Keys under which a secret could stand; secrets themselves travel as SecretText, which prints as `[secret]`. */
const SECRET_KEYS = [
  'password',
  'secret',
  'secretAccessKey',
  'accessKeyId',
  'apiKey',
  'token',
  'authorization',
];
const CENSOR = '[secret]';

/** Makes the logger of a process. Fields under names such as `password` are censored at two levels. */
export function createLogger(options: LogOptions): Logger {
  return pino(
    {
      level: options.level,
      base: null,
      mixin: traceFields,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: CENSOR },
      serializers: { err: serializeError, error: serializeError },
    },
    options.form === 'json' ? jsonLines(options.to) : plainLines(options.to),
  );
}

/** What a log keeps of an error: of an AppError all its facts, of another its stack. */
export function serializeError(error: unknown): unknown {
  if (!(error instanceof AppError)) return error instanceof Error ? stdSerializers.err(error) : error;
  const { code, kind, message, hint, facts, cause } = error;
  return {
    code,
    kind,
    message,
    hint,
    facts,
    ...(cause === undefined ? {} : { cause: serializeError(cause) }),
  };
}

function jsonLines(to: NodeJS.WritableStream): Writable {
  return lineWriter(to, (line) => line);
}

function plainLines(to: NodeJS.WritableStream): Writable {
  return lineWriter(to, formatLine);
}

function lineWriter(to: NodeJS.WritableStream, format: (line: string) => string): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      to.write(format(line), () => done());
    },
  });
}

/** `10:32:05.123 warn  words key=value`, from a line of JSON that pino wrote. */
export function formatLine(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${shown(value)}`);
  return `${clock} ${String(level).padEnd(5)} ${String(msg ?? '')}${rest.join('')}\n`;
}

function shown(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value);
}
