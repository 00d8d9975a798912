import type { ArchiveStatus } from '../../../workflows/contracts/archive.ts';
import type { StoreRecord } from '../../../workflows/contracts/stores.ts';
import type { OutOfReach } from '../../archiving/discovery.ts';
import type { RetentionAlarm } from '../../domain/routing/retention-alarm.ts';
import { storeFailureKind, storeRemedy } from '../../domain/routing/store-failures.ts';
import { effectivePolicies, type NoStandIn } from '../../domain/routing/store-handoff.ts';
import { formatBytes, formatCount, formatSeconds } from '../words.ts';
import type { ReadableStore } from './facts.ts';
import { isBridged } from './lacks.ts';
import type { Problem } from './problem.ts';
import { judgeStandIns } from './stand-ins.ts';

/** How one store stands for one source, as its workflow sees it. */
export interface StoreRoute {
  readonly store: string;
  readonly policy: 'required' | 'catch-up';
  /** How it counts now: a stand-in changes that. */
  readonly counts: 'required' | 'catch-up' | 'stands-in' | 'stood-in-for';
  readonly backlog: { readonly logs: number; readonly bytes: number };
  readonly through: { readonly binlog: string; readonly lastCommit: string | null } | null;
  readonly circuit:
    | { readonly state: 'closed' }
    | {
        readonly state: 'open' | 'half-open';
        /** RFC 3339. */
        readonly since: string;
        readonly code: string;
        readonly reason: string;
        /** RFC 3339; null while it is being tried. */
        readonly nextTry: string | null;
      };
  /** Why it gets nothing although it is reached. */
  readonly failure: { readonly code: string; readonly message: string } | null;
  /** Logs that it never gets, though another store has them. */
  readonly outOfReach: OutOfReach | null;
  /** Why no store counts in its place; empty where one does, or none has to. */
  readonly noStandIn: readonly NoStandIn[];
}

/** The routes of a source; empty before its first round. Pure. */
export function routesOf({
  stores,
  standIns,
  noStandIns,
}: Pick<ArchiveStatus, 'stores' | 'standIns' | 'noStandIns'>): StoreRoute[] {
  const effective = effectivePolicies(stores, standIns);
  return stores.map((record, index) => {
    const { store, policy, backlog, through, failure, outOfReach } = record;
    return {
      store,
      policy,
      counts: countsOf(policy, effective[index]?.policy ?? policy),
      backlog,
      through,
      circuit: circuitOf(record),
      failure: failure === null ? null : { code: failure.code, message: failure.message },
      outOfReach,
      noStandIn: noStandIns.find((it) => it.store === store)?.reasons ?? [],
    };
  });
}

function countsOf(policy: StoreRecord['policy'], now: StoreRecord['policy']): StoreRoute['counts'] {
  if (policy === now) return policy;
  return policy === 'required' ? 'stood-in-for' : 'stands-in';
}

function circuitOf({ circuit }: StoreRecord): StoreRoute['circuit'] {
  if (circuit.kind === 'closed') return { state: 'closed' };
  const { code, message } = circuit.cause;
  const nextTry = circuit.kind === 'open' ? new Date(circuit.probeAtMs).toISOString() : null;
  const since = new Date(circuit.openedAtMs).toISOString();
  return { state: circuit.kind, since, code, reason: message, nextTry };
}

/** What of the routes is degraded; `read` are the stores whose catalogs were read. Pure. */
export function judgeRoutes(
  source: string,
  archive: ArchiveStatus,
  read: readonly ReadableStore[],
): Problem[] {
  return [
    ...routesOf(archive).flatMap((route): Problem[] => [
      ...judgeRoute(source, route),
      ...judgeReach(route, read),
    ]),
    ...judgeStandIns(source, archive),
    ...judgeRetention(source, archive.retention),
  ];
}

function judgeRoute(
  source: string,
  { store, circuit, failure, counts, backlog, noStandIn }: StoreRoute,
): Problem[] {
  const problem = (code: string, message: string, hint: string): Problem => ({
    code,
    kind: 'unavailable',
    subject: store,
    message,
    hint,
  });
  const waits = `${formatCount(backlog.logs, 'binlog')} of ${source} (${formatBytes(backlog.bytes)}) ${backlog.logs === 1 ? 'waits' : 'wait'} for it`;
  if (circuit.state !== 'closed') {
    const isStoodInFor = counts === 'stood-in-for' && noStandIn.length === 0;
    const effect = isStoodInFor ? 'another store counts in its place' : waits;
    const message = `Store ${store} is given up for ${source} since ${circuit.since}: ${circuit.reason} Meanwhile ${effect}.`;
    const hint = `${storeRemedy(circuit.code)} It is tried now and then, and filled by itself when it is back.`;
    return [{ ...problem('StoreCircuitOpen', message, hint), kind: storeFailureKind(circuit.code) }];
  }
  if (failure !== null)
    return [problem(failure.code, `Store ${store} gets nothing: ${failure.message}`, waits)];
  // That its stand-in is lost is told instead.
  if (counts !== 'stood-in-for' || noStandIn.length > 0) return [];
  const message = `Store ${store} is back and being filled; another store counts in its place until both hold the same.`;
  return [problem('StoreStoodInFor', message, `${waits}.`)];
}

/**
 * What it lacks for good: a restore has to read the other store, too. Once a base backup lies behind it the store
 * does without, and it is a note.
 */
function judgeReach({ store, outOfReach }: StoreRoute, read: readonly ReadableStore[]): Problem[] {
  if (outOfReach === null) return [];
  const own = read.find(({ id }) => id === store);
  const { heldBy, logs, transactions, reason, name } = outOfReach;
  if (reason === 'too-late' && own !== undefined && isBridged(own, read)) return [];
  const [why, end] =
    reason === 'too-late'
      ? [
          'later binlogs stand there already, and entries are only ever added at the end',
          `It ends with a base backup behind them in ${store}: pitrail backup.`,
        ]
      : [
          'its server was handed away there',
          `They are in no history that goes on: see what they did (pitrail locate --store ${heldBy}). It ends with ${heldBy} begun anew under another prefix: pitrail sync --from ${store} --to ${heldBy}.`,
        ];
  const message = `Store ${store} never gets ${formatCount(logs, 'binlog')} with ${formatCount(transactions, 'transaction')} that ${heldBy} holds and the server has no more: ${name} cannot be added, for ${why}.`;
  const hint = `Keep ${heldBy}: what is missing in ${store} is restored from there. All that is new goes to both. ${end}`;
  return [{ code: 'StoreOutOfReach', kind: 'refused', subject: store, message, hint }];
}

function judgeRetention(source: string, alarm: RetentionAlarm | null): Problem[] {
  if (alarm?.reason !== 'counting-down' || alarm.level === 'none') return [];
  const { level, binlog, minutesLeft, atRisk } = alarm;
  const code = level === 'critical' ? 'RetentionCritical' : 'RetentionWarning';
  const message = `${source}: ${formatCount(atRisk.logs, 'closed binlog')} (${formatBytes(atRisk.bytes)}) not archived, ${atRisk.staged} of them staged; the server may purge ${binlog} in ${formatSeconds(minutesLeft * 60)}.`;
  const hint = 'Mend what holds archiving up. Until then: SET GLOBAL binlog_expire_logs_seconds higher.';
  return [{ code, kind: 'unavailable', subject: source, message, hint }];
}

/** The routes in words, a line each. */
export function describeRoutes(routes: readonly StoreRoute[], retention: RetentionAlarm | null): string[] {
  return [...routes.map(describeRoute), ...describeRetention(retention)];
}

function describeRoute({ store, policy, counts, circuit, backlog, failure }: StoreRoute): string {
  const now = counts === policy ? policy : `${policy}, ${counts.replaceAll('-', ' ')}`;
  const waiting =
    backlog.logs === 0
      ? 'nothing waits'
      : `waiting: ${formatCount(backlog.logs, 'binlog')} (${formatBytes(backlog.bytes)})`;
  const state =
    circuit.state === 'closed'
      ? failure === null
        ? 'taken'
        : `not taken (${failure.code})`
      : `given up since ${circuit.since} (${circuit.code})`;
  return `    to ${store} (${now}): ${state}; ${waiting}`;
}

function describeRetention(alarm: RetentionAlarm | null): string[] {
  if (alarm === null || alarm.reason === 'all-archived') return [];
  const what = `${formatCount(alarm.atRisk.logs, 'closed binlog')} not archived, ${alarm.atRisk.staged} staged`;
  if (alarm.reason === 'no-purge') return [`    retention: ${what}; the server purges nothing by itself`];
  return [
    `    retention: ${what}; the server may purge ${alarm.binlog} in ${formatSeconds(alarm.minutesLeft * 60)}`,
  ];
}
