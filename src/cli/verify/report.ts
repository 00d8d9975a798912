import type { CatalogComparison } from '../../domain/routing/compare.ts';
import type { ContiguousRange } from '../../domain/routing/contiguous.ts';
import type { StoreVerification, VerifiedStore, VerifyDepth } from '../../verifying/verify-store.ts';
import { formatBytes, formatCount, formatTable, shortGtids } from '../words.ts';
import type { VerifyProblem } from './judge.ts';

/** So many differences and problems are printed for people; a program gets all. */
const SHOWN = 50;

/** The document of a verification. */
export interface VerifyReport {
  readonly cluster: string;
  readonly depth: VerifyDepth;
  readonly verdict: 'whole' | 'not-whole';
  readonly stores: readonly unknown[];
  readonly comparisons: readonly CatalogComparison[];
  readonly problems: readonly VerifyProblem[];
}

/** Puts everything into one document. Pure. */
export function verifyReport(
  cluster: string,
  depth: VerifyDepth,
  stores: readonly StoreVerification[],
  comparisons: readonly CatalogComparison[],
  problems: readonly VerifyProblem[],
): VerifyReport {
  const verdict = problems.length === 0 ? 'whole' : 'not-whole';
  return { cluster, depth, verdict, stores: stores.map(storeDocument), comparisons, problems };
}

function storeDocument(verification: StoreVerification): unknown {
  if (verification.status === 'verified') {
    const { view: _view, ...rest } = verification;
    return rest;
  }
  const { status, store, location, error } = verification;
  return { status, store, location, error: { code: error.code, kind: error.kind, message: error.message } };
}

/** The document in words. */
export function describeVerification(
  { cluster, depth, problems, comparisons }: VerifyReport,
  stores: readonly StoreVerification[],
): string {
  return [
    `cluster ${cluster}`,
    ...stores.map((store) => describeStore(store, depth)),
    ...comparisons.map(describeComparison),
    problems.length === 0
      ? 'every store is whole, and all hold the same'
      : bounded(
          problems.map(({ message, hint }) => `problem: ${message}${hint === '' ? '' : `\n  hint: ${hint}`}`),
        ),
  ].join('\n');
}

function describeStore(verification: StoreVerification, depth: VerifyDepth): string {
  if (verification.status === 'failed') {
    return `\n${verification.store} (${verification.location}): not verified`;
  }
  const { store, location, entries, segments, backups, bytes, byLengthOnly, unnamed } = verification;
  const objects = formatCount(segments + backups, 'object');
  const proof =
    depth === 'prove'
      ? `${objects} with ${formatBytes(bytes)} read, decrypted and compared`
      : `${objects} with ${formatBytes(bytes)} looked at`;
  return [
    `\n${store} (${location}): ${formatCount(entries, 'entry', 'entries')}, ${proof}`,
    ...(depth === 'look' && byLengthOnly > 0
      ? [
          `  ${formatCount(byLengthOnly, 'object')} by length only: the store keeps no checksum of its own; see --deep`,
        ]
      : []),
    ...(unnamed.length === 0
      ? []
      : [
          `  ${formatCount(unnamed.length, 'object')} that no entry names, such as ${unnamed[0]}: of an upload under way, or of a crash`,
        ]),
    ...rangeLines(verification),
  ].join('\n');
}

function rangeLines({ ranges }: VerifiedStore): string[] {
  if (ranges.length === 0) return ['  nothing is archived'];
  const header = ['timeline', 'logs', 'transactions', 'from', 'to', 'last commit', 'ends at'];
  const rows = ranges.map((range) => [
    String(range.timeline),
    String(range.logs),
    String(range.transactions),
    range.from,
    range.to,
    range.lastCommit ?? '',
    endOf(range),
  ]);
  return formatTable(header, rows)
    .split('\n')
    .map((line) => `  ${line}`);
}

function endOf({ endsAt }: ContiguousRange): string {
  if (endsAt.kind === 'end-of-archive') return 'the end';
  return `${endsAt.standing} gap ${shortGtids(endsAt.missingGtids, 60)}`;
}

function describeComparison({
  stores,
  verdict,
  differences,
  onlyInFirst,
  onlyInSecond,
}: CatalogComparison): string {
  const [first, second] = stores;
  const only = [
    ...(onlyInFirst === '' ? [] : [`  only in ${first}: ${shortGtids(onlyInFirst)}`]),
    ...(onlyInSecond === '' ? [] : [`  only in ${second}: ${shortGtids(onlyInSecond)}`]),
  ];
  const notes = differences.flatMap((it) => {
    if (it.kind === 'sealed-twice') return [`  ${it.name} was sealed twice: other bytes, the same content`];
    if (it.kind === 'covered') return [`  ${it.store} has the transactions of ${it.name} in other logs`];
    return [];
  });
  const head = `\n${first} and ${second}: ${verdict === 'equal' ? 'the same GTIDs and the same digests' : 'different'}`;
  return [head, ...only, ...(notes.length === 0 ? [] : [bounded(notes)])].join('\n');
}

function bounded(lines: readonly string[]): string {
  if (lines.length <= SHOWN) return lines.join('\n');
  return [...lines.slice(0, SHOWN), `… and ${lines.length - SHOWN} more: see --json`].join('\n');
}
