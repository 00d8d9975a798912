import { type AppError, assertNever } from '../../domain/errors.ts';
import { GtidSet } from '../../domain/gtid-set.ts';
import { formatCount, shortGtids } from '../words.ts';
import type { ClusterFacts, ReadableStore, SourceFacts, StoreFacts, WorkflowAnswer } from './facts.ts';
import { bridgedLacks } from './lacks.ts';
import type { Problem } from './problem.ts';
import { judgeRoutes } from './routes.ts';
import { judgeStandIns } from './stand-ins.ts';
import { shortForGood, standByOf } from './standing.ts';
import { judgeWatch } from './watch.ts';

/** All that is degraded in a cluster; empty where all is well. Pure. */
export function judgeCluster(facts: ClusterFacts): Problem[] {
  const read = facts.stores.filter((store) => store.status === 'read');
  const short = shortForGood(facts);
  return [
    ...facts.stores.flatMap((store) => judgeStore(facts, store)),
    ...judgeDifferences(read, short),
    ...judgeNewestBackup(read),
    ...judgeDisagreement(facts),
    ...facts.sources.flatMap((source) => judgeSource(source, read)),
    ...judgeWatch(facts.watch),
  ];
}

function judgeStore({ cluster, sources }: ClusterFacts, store: StoreFacts): Problem[] {
  if (store.status === 'unreadable') return [problemOf(store.id, store.error)];
  // Workflows that answer have the same list, and know what became of it since; one that does not hides nothing.
  const isAnswered = sources.every(({ workflow }) => workflow.status === 'running');
  const letters = isAnswered ? [] : judgeDeadLetters(store);
  return [...judgeRestorable(cluster, store), ...letters, ...judgePacks(store)];
}

function judgeRestorable(cluster: string, store: ReadableStore): Problem[] {
  const subject = store.id;
  const hint = `Take a base backup: pitrail backup --cluster ${cluster}`;
  if (store.backups === 0) {
    return [
      {
        code: 'NoBackup',
        kind: 'refused',
        subject,
        message: `${store.id} holds no base backup, so nothing can be restored from it.`,
        hint,
      },
    ];
  }
  const last = store.windows.at(-1);
  const restorable = store.windows.filter((window) => window.kind === 'restorable');
  if (restorable.length === 0) {
    const message = `No base backup in ${store.id} is complete yet: binlogs up to its end are not archived.`;
    return [
      {
        code: 'BackupIncomplete',
        kind: 'refused',
        subject,
        message,
        hint: 'Let archiving catch up, and see its problems below.',
      },
    ];
  }
  const without = judgeNewestTimeline(cluster, store);
  if (without.length > 0) return without;
  if (last?.kind !== 'restorable' || last.endsAt === 'end-of-archive') return [];
  const why = last.endsAt === 'gap' ? 'transactions are missing' : 'there are transactions without a GTID';
  const message = `From ${store.id}, what came after ${last.toTime ?? last.backupFinishedAt} cannot be restored: ${why} in the archive.`;
  return [{ code: 'ArchiveGap', kind: 'refused', subject, message, hint }];
}

/** A restore that names no timeline goes to the newest: after a reset that may be one without a base. */
function judgeNewestTimeline(cluster: string, { id, newestTimeline, windows }: ReadableStore): Problem[] {
  if (newestTimeline === null || windows.some(({ timeline }) => timeline === newestTimeline)) return [];
  const others = [...new Set(windows.map(({ timeline }) => timeline))].join(', ');
  const message = `No base backup in ${id} lies on the newest timeline, ${newestTimeline}, so a restore that names none is refused; what can be restored lies on timeline ${others}.`;
  const hint = `Take a base backup of the source that is archived there: pitrail backup --cluster ${cluster} --source …. Until then: --timeline`;
  return [{ code: 'NoBackupOnTimeline', kind: 'refused', subject: id, message, hint }];
}

function judgeDisagreement({ cluster, disagreement }: ClusterFacts): Problem[] {
  return disagreement === null ? [] : [problemOf(cluster, disagreement)];
}

function judgeDeadLetters(store: ReadableStore): Problem[] {
  return store.deadLetters.map(({ serverUuid, binlog, reason, detail }) => ({
    code: 'DeadLetter',
    kind: 'refused',
    subject: store.id,
    message: `${binlog} of ${serverUuid} was not archived (${reason}): ${detail}`,
    hint: `Decide: pitrail archive --retry ${binlog} --reason …, or --accept-gap ${binlog}`,
  }));
}

function judgePacks(store: ReadableStore): Problem[] {
  if (store.damagedPacks.length === 0) return [];
  const message = `Pack ${store.damagedPacks.join(', ')} of the catalog in ${store.id} is damaged; its entries are whole, reading is slower.`;
  const hint = 'Remove the damaged objects under catalog/packs/; they are written anew.';
  return [{ code: 'PackDamaged', kind: 'corrupt', subject: store.id, message, hint }];
}

/**
 * Every store should hold what any other holds: missing = archived(a) − archived(b).
 *
 * @param short ids of stores that never get some of it
 */
function judgeDifferences(stores: readonly ReadableStore[], short: readonly string[]): Problem[] {
  return stores.flatMap((store) => {
    const bridged = bridgedLacks(store, stores, short).map(({ gtids }) => gtids);
    const has = GtidSet.unionAll([store.archived, ...bridged]);
    const ahead = stores.find((other) => !other.archived.isSubsetOf(has));
    if (ahead === undefined) return [];
    const missing = ahead.archived.subtract(has);
    const message = `${store.id} lacks ${formatCount(Number(missing.count()), 'transaction')} that ${ahead.id} holds: ${shortGtids(missing.toString())}.`;
    return [
      {
        code: 'StoreBehind',
        kind: 'unavailable' as const,
        subject: store.id,
        message,
        hint: short.includes(store.id)
          ? 'Some of it is out of its reach, see below; archiving brings it the rest by itself.'
          : 'Archiving fills it by itself; if it does not, see its problems.',
      },
    ];
  });
}

/** A store that failed while a base backup was taken lacks it, though it may have older ones. */
function judgeNewestBackup(stores: readonly ReadableStore[]): Problem[] {
  const holders = stores.flatMap(({ id, newestBackup }) =>
    newestBackup === null ? [] : [{ id, ...newestBackup }],
  );
  const [newest] = holders.toSorted((a, b) => (a.finishedAt < b.finishedAt ? 1 : -1));
  if (newest === undefined) return [];
  return stores.flatMap(({ id, newestBackup }): Problem[] => {
    if (newestBackup === null || newestBackup.backupId === newest.backupId) return [];
    const message = `${id} lacks the newest base backup ${newest.backupId}, which ${newest.id} holds: a restore from it alone begins at an older one.`;
    const hint = `Bring it there: pitrail sync --from ${newest.id} --to ${id}`;
    return [{ code: 'BackupMissing', kind: 'unavailable', subject: id, message, hint }];
  });
}

function judgeSource(source: SourceFacts, stores: readonly ReadableStore[]): Problem[] {
  const server = source.server.status === 'unreachable' ? [problemOf(source.id, source.server.error)] : [];
  return [...server, ...judgeWorkflow(source.id, source.workflow, stores)];
}

function judgeWorkflow(id: string, workflow: WorkflowAnswer, stores: readonly ReadableStore[]): Problem[] {
  const problem = (code: string, message: string, hint: string): Problem[] => [
    { code, kind: 'unavailable', subject: id, message, hint },
  ];
  switch (workflow.status) {
    case 'unreachable':
      return [problemOf(id, workflow.error)];
    case 'not-running':
      return problem(
        'NotArchiving',
        `Nothing archives ${id}: workflow ${workflow.workflowId} does not run.`,
        'Start it: pitrail apply',
      );
    case 'silent':
      return problem(
        'NoWorker',
        `Workflow ${workflow.workflowId} is there, but no worker answers for it.`,
        'Start one: pitrail worker',
      );
    case 'running':
      if (standByOf(workflow) !== null) return judgeStandingBy(id, workflow.archive);
      return [...judgeArchive(id, workflow.archive), ...judgeRoutes(id, workflow.archive, stores)];
    default:
      return assertNever(workflow);
  }
}

type Archive = Extract<WorkflowAnswer, { status: 'running' }>['archive'];

/** What was seen of its stores when it was archived last is no state of the archive any more. */
function judgeStandingBy(id: string, archive: Archive): Problem[] {
  return [...judgeLetters(id, archive), ...judgeStandIns(id, { ...archive, noStandIns: [] })];
}

function judgeLetters(id: string, { deadLetters }: Archive): Problem[] {
  return deadLetters.map(({ binlog, code, message, hint }) => ({
    code,
    kind: 'refused',
    subject: id,
    message: `${binlog} waits for a decision: ${message}`,
    hint,
  }));
}

function judgeArchive(id: string, archive: Archive): Problem[] {
  const problems = judgeLetters(id, archive);
  if (archive.mode === 'paused') {
    const hint = `pitrail archive --resume --source ${id}`;
    problems.push({
      code: 'Paused',
      kind: 'unavailable',
      subject: id,
      message: `Archiving of ${id} is paused.`,
      hint,
    });
  }
  if (archive.rotationFailure !== null) {
    const { code, message, hint } = archive.rotationFailure;
    problems.push({ code, kind: 'refused', subject: id, message, hint });
  }
  if (archive.phase === 'failing' && archive.lastFailure !== null) {
    const { code, message, hint } = archive.lastFailure;
    problems.push({
      code,
      kind: 'unavailable',
      subject: id,
      message: `Archiving of ${id} fails: ${message}`,
      hint,
    });
  }
  return problems;
}

function problemOf(subject: string, error: AppError): Problem {
  return { code: error.code, kind: error.kind, subject, message: error.message, hint: error.hint ?? '' };
}
