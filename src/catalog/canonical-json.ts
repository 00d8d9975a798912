import { AppError } from '../domain/errors.ts';

/** What canonical JSON can hold. Numbers are safe integers; a larger or broken number travels as text. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/**
 * Writes JSON in the one form that digests and signatures are made over: keys sorted by UTF-16 code
 * units, no white space, numbers as integers. @throws bug for a fraction, an unsafe integer, a
 * lone surrogate or anything else that another reader could read differently
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'boolean':
      return String(value);
    case 'number':
      return integer(value);
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? arrayOf(value) : objectOf(value);
    default:
      throw notCanonical(`a value of type ${typeof value}`);
  }
}

function quoted(text: string): string {
  if (!text.isWellFormed()) throw notCanonical('text with a lone surrogate');
  return JSON.stringify(text);
}

function integer(value: number): string {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw notCanonical(`the number ${value}`);
  return value.toString();
}

function arrayOf(values: readonly unknown[]): string {
  return `[${values.map(canonicalJson).join(',')}]`;
}

function objectOf(value: object): string {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw notCanonical(`an object of class ${value.constructor.name}`);
  }
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${quoted(key)}:${canonicalJson(item)}`).join(',')}}`;
}

function notCanonical(what: string): AppError {
  return new AppError({
    code: 'NotCanonicalJson',
    kind: 'bug',
    message: `Canonical JSON cannot hold ${what}, so nothing was written.`,
  });
}
