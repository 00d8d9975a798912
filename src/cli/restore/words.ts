import { formatXid } from '../../domain/xid.ts';
import type { KeptBecause, RunningSettings } from '../../replay/running-settings.ts';
import type { RestoreOutcome } from '../../restoring/outcome.ts';
import { formatCount, formatSeconds, shortGtids } from '../words.ts';

/** What a restore did, for people. */
export function describeOutcome(outcome: RestoreOutcome): string {
  const { plan, fetch, replay, verify, handOver } = outcome.seconds;
  const { lastApplied: last, firstExcluded: next } = outcome;
  return [
    `Restored to ${outcome.target} in ${formatSeconds(plan + fetch + replay + verify + handOver)}.`,
    `  data folder     ${outcome.dataDir}`,
    `  base            ${outcome.backupId} from store ${outcome.store}`,
    `  replayed        ${formatCount(outcome.transactions, 'transaction')} in ${formatSeconds(replay)}`,
    `  last applied    ${last === null ? 'the base itself' : atTime(last)}`,
    `  first left out  ${next === null ? 'none: nothing later is archived' : atTime(next)}`,
    `  gtid_executed   ${shortGtids(outcome.gtidExecuted)}`,
    ...(outcome.skippedGtids === '' ? [] : [`  left out        ${outcome.skippedGtids}`]),
    ...(outcome.eventStatusesSet === 0
      ? []
      : [`  events          ${formatCount(outcome.eventStatusesSet, 'status', 'statuses')} put back`]),
    ...falloverWords(outcome),
    ...preparedWords(outcome),
    ...serverWords(outcome),
  ].join('\n');
}

function atTime({ gtid, committedAt }: { gtid: string; committedAt: string | null }): string {
  return committedAt === null ? gtid : `${gtid}, committed at ${committedAt}`;
}

/** What was restored is exact; the store that failed is not whole. */
function falloverWords({ fallovers, falloverCount }: RestoreOutcome): string[] {
  if (falloverCount === 0) return [];
  const shown = fallovers.slice(0, 10);
  return [
    `  fell over       ${formatCount(falloverCount, 'time')} to another store: find out why (pitrail verify), and repair (pitrail sync)`,
    ...shown.map(
      ({ key, from, to, reason }) => `                  ${key}: ${to} in the place of ${from}. ${reason}`,
    ),
    ...(falloverCount > shown.length ? ['                  … more of them: --json'] : []),
  ];
}

/** Prepared transactions hold locks until somebody ends them. */
function preparedWords({ preparedXa }: RestoreOutcome): string[] {
  if (preparedXa.length === 0) return [];
  const ids = preparedXa.slice(0, 20).map(formatXid);
  return [
    `  prepared XA     ${formatCount(preparedXa.length, 'transaction')}: decide each with XA COMMIT or XA ROLLBACK`,
    ...ids.map((id) => `                  ${id}`),
    ...(preparedXa.length > ids.length ? ['                  … all of them: XA RECOVER CONVERT XID'] : []),
  ];
}

function serverWords({ server, dataDir }: RestoreOutcome): string[] {
  if (server.kind === 'stopped') {
    return [
      `It is stopped cleanly. Start it without its old source: mysqld --datadir=${dataDir} --skip-replica-start`,
    ];
  }
  return [
    `It runs as process ${server.pid}, on its socket only, with the accounts of the origin.`,
    ...settingsWords(server.settings, dataDir),
    `  connect         mysql --socket=${server.socket} -u root -p`,
    `  stop            kill ${server.pid}`,
    `  its socket and log lie in ${dataDir}.pitrail, which may be removed once it has stopped`,
  ];
}

const KEPT_WORDS: Readonly<Record<KeptBecause, string>> = {
  'prepared-xa': 'a start can lose prepared XA transactions: end them first',
  'memory-tables': 'a stop empties its MEMORY tables',
};

/** What a DBA must know before the server is used as one. */
function settingsWords({ chosen, ...settings }: RunningSettings, dataDir: string): string[] {
  const list = chosen.map(({ name, value }) => `${name}=${value}`).join(', ');
  if (settings.kind === 'plain') return [`  settings        MySQL's own, and ${list}`];
  return [
    `  settings        some of the replay are left: ${list}`,
    `                  it was not started anew, because ${settings.because.map((why) => KEPT_WORDS[why]).join('; and ')}`,
    `                  start it with settings of your own as soon as that may be, and then remove ${dataDir}/#pitrail`,
  ];
}
