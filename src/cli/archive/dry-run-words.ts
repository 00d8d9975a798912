import type { LogProblem, StoreFailure } from '../../archiving/discovery.ts';
import type { StandIn } from '../../domain/routing/store-handoff.ts';
import { formatBytes, formatCount, formatTable, shortGtids } from '../words.ts';

/** A log that would be archived. */
export interface DryRunLog {
  readonly binlog: string;
  readonly lengthBytes: number;
  readonly gtids: string;
  /** The same in every store. */
  readonly key: string;
  readonly stores: readonly string[];
}

/** A store that cannot be asked now, and yet keeps nothing from being archived. */
export interface AwayStore extends Pick<StoreFailure, 'code' | 'kind' | 'message'> {
  readonly store: string;
}

/** What `archive --once` would do for one source. */
export type DryRunSource =
  | {
      readonly state: 'archives';
      readonly cluster: string;
      readonly source: string;
      readonly serverUuid: string;
      readonly archive: readonly DryRunLog[];
      readonly problems: readonly LogProblem[];
      readonly backlog: { readonly logs: number; readonly bytes: number };
      /** Which stores count in the place of others meanwhile. */
      readonly standIns: readonly StandIn[];
      readonly away: readonly AwayStore[];
      /** Permissions that archiving would miss, each with what lacks it. */
      readonly missingPermissions: readonly string[];
      /** What only writing could show, so that it was not looked at. */
      readonly unchecked: readonly string[];
    }
  | {
      readonly state: 'stands-by';
      readonly cluster: string;
      readonly source: string;
      readonly why: string;
    };

/** What would be done for one source, in words. */
export function describeDryRun(result: DryRunSource): string {
  const name = `${result.cluster}/${result.source}`;
  if (result.state === 'stands-by') return `${name}: nothing to do: ${result.why}`;
  const { archive, backlog, standIns, away, problems, missingPermissions, unchecked } = result;
  return [
    `${name}: ${formatCount(archive.length, 'closed binlog')} to archive now (${formatBytes(sizeOf(archive))})`,
    ...(archive.length === 0 ? [] : indented(tableOf(archive))),
    ...(backlog.logs <= archive.length
      ? []
      : [
          `  ${formatCount(backlog.logs, 'closed binlog')} in all (${formatBytes(backlog.bytes)}) not archived in every store that counts`,
        ]),
    ...standIns.map(({ from, to }) => `  ${to} counts in the place of ${from}`),
    ...away.map(({ store, message }) => `  ${store} gets it later: ${message}`),
    ...problems.map(
      ({ binlog, code, message, hint }) => `  problem ${binlog} (${code}): ${message}\n    hint: ${hint}`,
    ),
    ...missingPermissions.map((what) => `  missing: ${what}`),
    ...unchecked.map((what) => `  not checked: ${what}`),
  ].join('\n');
}

function tableOf(archive: readonly DryRunLog[]): string {
  const rows = archive.map(({ binlog, lengthBytes, gtids, stores, key }) => [
    binlog,
    formatBytes(lengthBytes),
    shortGtids(gtids, 60),
    stores.join(', '),
    key,
  ]);
  return formatTable(['binlog', 'size', 'GTIDs', 'to', 'key'], rows);
}

function indented(text: string): string[] {
  return text.split('\n').map((line) => `  ${line}`);
}

function sizeOf(archive: readonly DryRunLog[]): number {
  return archive.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
}
