import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../../docs/iam');

type OneOrMore = string | readonly string[];

export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: OneOrMore;
  readonly Resource: OneOrMore;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface Policy {
  readonly Version: string;
  readonly Statement: readonly Statement[];
}

/** A request as policies see it: the keys of conditions that it has. */
export interface IamRequest {
  readonly action: string;
  readonly resource: string;
  readonly keys?: Readonly<Record<string, string>>;
}

/** A policy of docs/iam, for a bucket and a prefix. */
export async function s3Policy(name: string, bucket: string, prefix: string): Promise<Policy> {
  const text = await readFile(join(FOLDER, 's3', `${name}.json`), 'utf8');
  return JSON.parse(text.replaceAll('BUCKET', bucket).replaceAll('PREFIX', prefix)) as Policy;
}

/**
 * Whether policies allow a request, by the rules of IAM: a Deny that matches wins, then an Allow, else
 * denied. Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators".
 */
export function isAllowed(policies: readonly Policy[], request: IamRequest): boolean {
  const matching = policies.flatMap(({ Statement }) => Statement).filter((it) => matches(it, request));
  if (matching.some(({ Effect }) => Effect === 'Deny')) return false;
  return matching.some(({ Effect }) => Effect === 'Allow');
}

function matches({ Action, Resource, Condition = {} }: Statement, request: IamRequest): boolean {
  const keys = request.keys ?? {};
  return (
    list(Action).some((pattern) => fits(pattern, request.action)) &&
    list(Resource).some((pattern) => fits(pattern, request.resource)) &&
    Object.entries(Condition).every(([operator, wanted]) =>
      Object.entries(wanted).every(([key, value]) => holds(operator, keys[key], value)),
    )
  );
}

function holds(operator: string, found: string | undefined, wanted: string): boolean {
  switch (operator) {
    case 'Null':
      return (found === undefined) === (wanted === 'true');
    case 'Bool':
      return found === wanted;
    case 'NumericLessThan':
      return found !== undefined && Number(found) < Number(wanted);
    default:
      throw new Error(`the policies of docs/iam use ${operator}, which this evaluator does not know`);
  }
}

function list(value: OneOrMore): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}

function fits(pattern: string, text: string): boolean {
  const source = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  return new RegExp(`^${source}$`).test(text);
}
