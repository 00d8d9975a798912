import {
  type Document,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml';
import type { Finding } from './cross-checks.ts';

/** A place in a file, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A YAML file, parsed, with the places of everything in it. */
export interface YamlFile {
  readonly root: unknown;
  /** The place of what a path names; of what is missing, the place of what should hold it. */
  placeOf(path: Finding['path']): Place;
}

/** A YAML file that cannot be read, with everything that is wrong with its form. */
export type YamlResult =
  | { readonly status: 'parsed'; readonly file: YamlFile }
  | {
      readonly status: 'malformed';
      readonly errors: readonly { readonly place: Place; readonly problem: string }[];
    };

/** Parses YAML 1.2 (core schema). Errors tell the place and the rule, and never quote the file: a secret may stand there. */
export function parseYaml(text: string): YamlResult {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const problems: readonly YAMLError[] = [...document.errors, ...document.warnings];
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (problems.length > 0) {
    const errors = problems.map((it) => ({ place: placeAt(it.pos[0]), problem: RULES[it.code] ?? NOT_YAML }));
    return { status: 'malformed', errors };
  }
  const alias = unresolvedAlias(document);
  if (alias !== undefined) {
    return { status: 'malformed', errors: [{ place: placeAt(alias), problem: RULES.BAD_ALIAS ?? NOT_YAML }] };
  }
  const root: unknown = document.toJS();
  return { status: 'parsed', file: { root, placeOf: (path) => placeAt(offsetOf(document, path)) } };
}

const NOT_YAML = 'this is not YAML';

const RULES: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  BAD_ALIAS: 'a value that starts with * is an alias in YAML, and this one names nothing: put it in quotes',
  DUPLICATE_KEY: 'this key stands twice in one map',
  TAB_AS_INDENT: 'a tab indents this line: YAML needs spaces',
  BAD_INDENT: 'this line is indented otherwise than its neighbours',
  MISSING_CHAR: 'a character is missing here, such as a closing quote, bracket or the colon after a key',
  TAG_RESOLVE_FAILED:
    'a value that starts with ! is a tag in YAML, and this one is unknown: put it in quotes',
  MULTIPLE_DOCS: 'a second document starts here: this file holds one',
  BLOCK_AS_IMPLICIT_KEY: 'a map or list stands where a key or a value in one line was expected',
  MULTILINE_IMPLICIT_KEY: 'a key goes over more than one line: perhaps a colon is missing',
  UNEXPECTED_TOKEN: 'something stands here that YAML does not expect',
  BAD_SCALAR_START: 'this value starts with a character that YAML keeps for itself: put it in quotes',
  BAD_DQ_ESCAPE: 'this text in double quotes has an unknown escape: write \\\\ for a backslash',
};

/** Offset of the first alias that names nothing; the library would quote it in an error of its own. */
function unresolvedAlias(document: Document): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document) !== undefined) return undefined;
      offset = node.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return offset;
}

function offsetOf(document: Document, path: Finding['path']): number {
  for (let length = path.length; length > 0; length -= 1) {
    const offset = keyOrValueOffset(document, path.slice(0, length));
    if (offset !== undefined) return offset;
  }
  return 0;
}

/** Where the key stands in a map; where the item stands in a list. */
function keyOrValueOffset(document: Document, path: Finding['path']): number | undefined {
  const last = path.at(-1);
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const pair = parent.items.find(
      (it) => isPair(it) && isScalar(it.key) && String(it.key.value) === String(last),
    );
    return pair !== undefined && isNode(pair.key) ? pair.key.range?.[0] : undefined;
  }
  const node = document.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}
