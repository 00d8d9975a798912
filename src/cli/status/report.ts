import type { GtidSet } from '../../domain/gtid-set.ts';
import type { RestorableWindow } from '../../domain/restore-windows.ts';
import type { RetentionAlarm } from '../../domain/routing/retention-alarm.ts';
import type { StandIn } from '../../domain/routing/store-handoff.ts';
import { formatBytes, formatCount, formatSeconds, shortGtids } from '../words.ts';
import type { ClusterFacts, ReadableStore, SourceFacts, StoreFacts, WorkflowAnswer } from './facts.ts';
import { type BridgedLack, bridgedLacks, describeBridged } from './lacks.ts';
import type { Problem } from './problem.ts';
import { describeRoutes, routesOf, type StoreRoute } from './routes.ts';
import { shortForGood, standByOf } from './standing.ts';
import { describeWatch, watchDocument } from './watch.ts';

/** How far one source is archived in one store. */
export interface SourceInStore {
  readonly store: string;
  readonly timeline: number;
  readonly archivedGtids: string;
  readonly lastBinlog: string;
  readonly lastCommit: string | null;
  /** Executed on the server, not in the archive; null where the server did not answer. */
  readonly pendingTransactions: number | null;
  /** Age of the last archived commit where transactions are pending; 0 where none are. */
  readonly lagSeconds: number | null;
  /** Closed binlogs that are not archived; null where the server did not answer. */
  readonly backlog: { readonly logs: number; readonly bytes: number } | null;
}

/** The status of a cluster as JSON. */
export interface ClusterReport {
  readonly cluster: string;
  readonly status: 'ok' | 'degraded';
  readonly stores: readonly unknown[];
  readonly sources: readonly {
    readonly id: string;
    readonly serverUuid: string | null;
    /** Why another source is archived in its place, so that the rest is empty; null where none is. */
    readonly standsBy: string | null;
    readonly archived: readonly SourceInStore[];
    /** Where its binlogs go; empty where its workflow does not answer. */
    readonly routes: readonly StoreRoute[];
    readonly standIns: readonly StandIn[];
    /** How long the server keeps what is not archived; null where nobody knows. */
    readonly retention: RetentionAlarm | null;
    readonly workflow: unknown;
  }[];
  /** What watches over the archived source; null where no fallback is named. */
  readonly watch: unknown;
  readonly problems: readonly Problem[];
}

/** Puts facts and problems into one document. Pure; `nowMs` is milliseconds since 1970. */
export function reportOf(facts: ClusterFacts, problems: readonly Problem[], nowMs: number): ClusterReport {
  return {
    cluster: facts.cluster,
    status: problems.length === 0 ? 'ok' : 'degraded',
    stores: facts.stores.map((store) => storeDocument(store, facts)),
    sources: facts.sources.map((source) => ({
      id: source.id,
      serverUuid: serverUuidOf(source),
      standsBy: standByOf(source.workflow),
      ...archiving(source, facts.stores, nowMs),
      workflow: workflowDocument(source.workflow),
    })),
    watch: watchDocument(facts.watch),
    problems,
  };
}

type Archiving = Pick<ClusterReport['sources'][number], 'archived' | 'routes' | 'standIns' | 'retention'>;

/** Nothing of a source that stands by waits for anything, and nothing of it goes anywhere. */
function archiving(source: SourceFacts, stores: readonly StoreFacts[], nowMs: number): Archiving {
  const { workflow } = source;
  const none = { routes: [], standIns: [], retention: null };
  if (standByOf(workflow) !== null) return { archived: [], ...none };
  const archived = sourceInStores(source, stores, nowMs);
  if (workflow.status !== 'running') return { archived, ...none };
  const { standIns, retention } = workflow.archive;
  return { archived, routes: routesOf(workflow.archive), standIns, retention };
}

function serverUuidOf({ server, workflow }: SourceFacts): string | null {
  if (server.status === 'answered') return server.serverUuid;
  return workflow.status === 'running' ? (workflow.archive.archivedThrough?.serverUuid ?? null) : null;
}

function sourceInStores(source: SourceFacts, stores: readonly StoreFacts[], nowMs: number): SourceInStore[] {
  const uuid = serverUuidOf(source);
  return stores.flatMap((store): SourceInStore[] => {
    const line =
      store.status === 'read' ? store.lines.find(({ serverUuid }) => serverUuid === uuid) : undefined;
    if (store.status !== 'read' || line === undefined) return [];
    const pending = pendingOf(source, line.covered);
    return [
      {
        store: store.id,
        timeline: line.timeline,
        archivedGtids: line.covered.toString(),
        lastBinlog: line.lastBinlog,
        lastCommit: line.lastCommit,
        pendingTransactions: pending,
        lagSeconds:
          pending === null || line.lastCommit === null
            ? null
            : pending === 0
              ? 0
              : Math.round((nowMs - Date.parse(line.lastCommit)) / 1000),
        backlog: backlogOf(source, store),
      },
    ];
  });
}

function pendingOf({ server }: SourceFacts, covered: GtidSet): number | null {
  return server.status === 'answered' ? Number(server.gtidExecuted.subtract(covered).count()) : null;
}

/** Logs before the first archived one count as well: nobody has archived them. */
function backlogOf({ server }: SourceFacts, store: ReadableStore): SourceInStore['backlog'] {
  if (server.status !== 'answered') return null;
  const archived = store.binlogs.get(server.serverUuid);
  const open = server.closed.filter(({ name }) => archived?.has(name) !== true);
  return { logs: open.length, bytes: open.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

function bridgedIn(store: ReadableStore, facts: ClusterFacts): BridgedLack[] {
  const read = facts.stores.filter((it) => it.status === 'read');
  return bridgedLacks(store, read, shortForGood(facts));
}

function storeDocument(store: StoreFacts, facts: ClusterFacts): unknown {
  if (store.status === 'unreadable') {
    const { code, kind, message } = store.error;
    return { id: store.id, status: store.status, error: { code, kind, message } };
  }
  const {
    id,
    status,
    location,
    repositoryId,
    head,
    epoch,
    segments,
    backups,
    storedBytes,
    windows,
    damagedPacks,
  } = store;
  return {
    id,
    status,
    location,
    repositoryId,
    head,
    epoch,
    segments,
    backups,
    storedBytes,
    windows,
    // Not a problem, and not in this store: what it never gets, with a base backup behind it.
    bridged: bridgedIn(store, facts).map(({ heldBy, gtids }) => ({ heldBy, gtids: gtids.toString() })),
    damagedPacks,
  };
}

function workflowDocument(workflow: WorkflowAnswer): unknown {
  if (workflow.status !== 'unreachable') return workflow;
  return { status: workflow.status, error: { code: workflow.error.code, message: workflow.error.message } };
}

/** The report in words. */
export function describeReport(facts: ClusterFacts, report: ClusterReport): string {
  return [
    `${report.cluster}: ${report.status === 'ok' ? 'all is well' : formatCount(report.problems.length, 'problem')}`,
    ...facts.stores.flatMap((store) => describeStore(store, facts)),
    ...report.sources.flatMap(describeSource),
    ...describeWatch(facts.watch),
    ...report.problems.flatMap(({ subject, message, hint }) => [
      `  PROBLEM ${subject}: ${message}`,
      ...(hint === '' ? [] : [`          hint: ${hint}`]),
    ]),
  ].join('\n');
}

function describeStore(store: StoreFacts, facts: ClusterFacts): string[] {
  if (store.status === 'unreadable') return [`  store ${store.id}: cannot be read`];
  const { segments, backups, storedBytes } = store;
  return [
    `  store ${store.id} (${store.location}): ${formatCount(segments, 'binlog')}, ${formatCount(backups, 'base backup')}, ${formatBytes(storedBytes)}`,
    ...store.windows.map(describeWindow),
    ...describeBridged(bridgedIn(store, facts)),
  ];
}

function describeWindow(window: RestorableWindow): string {
  if (window.kind === 'waiting-for-archive') {
    return `    base ${window.backupId} waits for ${shortGtids(window.missingGtids)} to be archived`;
  }
  const end = window.toTime ?? 'its own state';
  return `    restorable from ${window.backupFinishedAt} to ${end} (base ${window.backupId}, ${formatCount(window.transactions, 'transaction')} after it)`;
}

function describeSource(source: ClusterReport['sources'][number]): string[] {
  if (source.standsBy !== null) return [`  source ${source.id} stands by: ${source.standsBy}`];
  const lines =
    source.archived.length === 0
      ? [`  source ${source.id}: nothing is known to be archived`]
      : source.archived.map((line) => describeLine(source.id, line));
  const standIns = source.standIns.map(({ from, to }) => `    ${to} counts in the place of ${from}`);
  return [...lines, ...describeRoutes(source.routes, source.retention), ...standIns];
}

function describeLine(id: string, line: SourceInStore): string {
  const lag =
    line.pendingTransactions === null
      ? 'server not reached'
      : line.pendingTransactions === 0
        ? 'nothing pending'
        : `${formatCount(line.pendingTransactions, 'transaction')} pending${line.lagSeconds === null ? '' : ` (${formatSeconds(line.lagSeconds)})`}`;
  const backlog =
    line.backlog === null || line.backlog.logs === 0
      ? ''
      : `, ${formatCount(line.backlog.logs, 'closed binlog')} to archive (${formatBytes(line.backlog.bytes)})`;
  return `  source ${id} in ${line.store}: archived through ${line.lastBinlog}, ${line.lastCommit ?? 'no commit time'}; ${lag}${backlog}; ${shortGtids(line.archivedGtids)}`;
}
