import { z } from 'zod';
import type { Finding } from './cross-checks.ts';
import { nearest } from './nearest.ts';

const REFERENCE = '{ file: PATH } or { env: NAME }';
/** What stands under these keys must be, and is never quoted. */
const SECRETS: ReadonlyMap<string, string> = new Map([
  ['password', REFERENCE],
  ['apiKey', REFERENCE],
  ['accessKeyId', REFERENCE],
  ['secretAccessKey', REFERENCE],
  ['credentials', '{ file: PATH } or { env: NAME }, or the word anonymous'],
]);

type Issue = z.core.$ZodIssue;
type Path = readonly (string | number)[];

/**
 * Says in a person's words what the schema found. Values under a secret's key are never quoted, nor
 * are names of keys under it: a secret may stand there.
 */
export function explainIssues(issues: readonly Issue[], schema: z.ZodType, root: unknown): Finding[] {
  return issues.flatMap((issue) => explain(issue, plainPath(issue.path), schema, root));
}

function explain(issue: Issue, path: Path, schema: z.ZodType, root: unknown): Finding[] {
  const value = valueAt(root, path);
  const secretAt = path.findIndex((part) => SECRETS.has(String(part)));
  if (secretAt !== -1 && value !== undefined) return [secretFinding(path.slice(0, secretAt + 1), root)];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(key, path, schema));
    case 'invalid_union':
      return explainUnion(issue, path, schema, root);
    case 'invalid_key':
      return [
        {
          path,
          problem: `${quote(String(path.at(-1)))} cannot be a name: it ${issue.issues[0]?.message ?? ''}`,
        },
      ];
    default:
      return [
        { path, problem: `${nameOf(path)} ${value === undefined ? 'is missing' : misfit(issue, value)}` },
      ];
  }
}

function secretFinding(path: Path, root: unknown): Finding {
  const value = valueAt(root, path);
  const what = nameOf(path);
  const isReference = typeof value === 'object' && value !== null;
  const meant = SECRETS.get(what) ?? REFERENCE;
  const problem = isReference
    ? `${what} must be ${meant}, with nothing else in it`
    : `${what} is written here itself, and whoever sees this file would know it: write ${meant}`;
  return { path, problem };
}

function unknownKey(key: string, path: Path, schema: z.ZodType): Finding {
  const known = keysAt(schema, path);
  const meant = nearest(key, known);
  const help = meant === undefined ? `; known here: ${known.join(', ')}` : `, did you mean ${meant}`;
  return { path: [...path, key], problem: `unknown key ${key}${help}` };
}

/** Takes the branch that the written value was meant for: the one of its own type. */
function explainUnion(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: Path,
  schema: z.ZodType,
  root: unknown,
): Finding[] {
  const value = valueAt(root, path);
  if (value === undefined)
    return [{ path, problem: `${nameOf(path)} is missing: ${choicesAt(schema, path)}` }];
  const meant = issue.errors.find((branch) =>
    branch.every((it) => it.path.length > 0 || it.code === 'unrecognized_keys'),
  );
  if (meant === undefined) {
    return [
      { path, problem: `${nameOf(path)} is ${describe(value)}, but must be ${choicesAt(schema, path)}` },
    ];
  }
  return meant.flatMap((it) => explain(it, [...path, ...plainPath(it.path)], schema, root));
}

function misfit(issue: Issue, value: unknown): string {
  const is = `is ${describe(value)}, but`;
  switch (issue.code) {
    case 'invalid_type':
      return `${is} must be ${TYPES[issue.expected] ?? issue.expected}`;
    case 'too_small':
      return issue.origin === 'array' || issue.origin === 'string'
        ? `${is} ${issue.message}`
        : `${is} must be at least ${issue.minimum}`;
    case 'too_big':
      return `${is} must be at most ${issue.maximum}`;
    case 'invalid_value':
      return `${is} must be ${issue.values.map((it) => quote(String(it))).join(' or ')}`;
    default:
      return `${is} ${issue.message}`;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  object: 'a map of keys',
  record: 'a map of names',
  array: 'a list',
};

function describe(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a map of keys';
  return typeof value === 'string' ? quote(value) : String(value);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}

function nameOf(path: Path): string {
  const last = path.at(-1);
  if (last === undefined) return 'the file';
  return typeof last === 'number' ? `item ${last + 1} of ${String(path.at(-2) ?? 'the list')}` : last;
}

function plainPath(path: readonly PropertyKey[]): (string | number)[] {
  return path.map((part) => (typeof part === 'number' ? part : String(part)));
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[part];
  }
  return value;
}

function keysAt(schema: z.ZodType, path: Path): readonly string[] {
  const found = schemaAt(schema, path);
  return found instanceof z.ZodObject ? Object.keys(found.shape) : [];
}

function choicesAt(schema: z.ZodType, path: Path): string {
  const parent = schemaAt(schema, path.slice(0, -1));
  const field = parent instanceof z.ZodObject ? unwrap(parent.shape[String(path.at(-1))]) : undefined;
  const options = field instanceof z.ZodUnion ? field.options : [];
  return options.map((option) => choice(option as z.ZodType)).join(' or ');
}

function choice(option: z.ZodType): string {
  if (option instanceof z.ZodLiteral) return [...option.values].join(' or ');
  return option instanceof z.ZodObject
    ? `{ ${Object.keys(option.shape)
        .map((key) => `${key}: …`)
        .join(', ')} }`
    : 'another value';
}

/** The schema of the map at a path; of a choice, its map. */
function schemaAt(schema: z.ZodType, path: Path): z.ZodType | undefined {
  let at: z.ZodType | undefined = schema;
  for (const part of path) {
    const outer = unwrap(at);
    if (outer instanceof z.ZodObject) at = outer.shape[String(part)] as z.ZodType | undefined;
    else if (outer instanceof z.ZodArray) at = outer.element as z.ZodType;
    else if (outer instanceof z.ZodRecord) at = outer.valueType as z.ZodType;
    else return undefined;
  }
  const found = unwrap(at);
  if (!(found instanceof z.ZodUnion)) return found;
  return found.options.find((option) => option instanceof z.ZodObject);
}

function unwrap(schema: unknown): z.ZodType | undefined {
  let at = schema;
  while (at instanceof z.ZodOptional || at instanceof z.ZodDefault || at instanceof z.ZodPrefault)
    at = at.unwrap();
  return at instanceof z.ZodType ? at : undefined;
}
