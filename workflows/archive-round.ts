import { condition, log } from '@temporalio/workflow';
import type { ArchiveSettings } from '../activities/archive.ts';
import type { Discovery, PlannedLog } from '../src/archiving/discovery.ts';
import type { RetentionAlarm } from '../src/domain/routing/retention-alarm.ts';
import { controlActivities, hostActivities, stagingActivities, storeTries } from './archive-activities.ts';
import { tryStoresIfAsked } from './archive-asked.ts';
import { adoptBoundaries } from './archive-boundaries.ts';
import { noteFailure, onStore } from './archive-circuits.ts';
import { carryOutDecisions, noteProblems, setAsideOf, writeLetters } from './archive-dead-letters.ts';
import type { ArchiveEntity } from './archive-entity.ts';
import { claimOnce, noteSwitched } from './archive-hold.ts';
import { isCountingBusy, logsInLanes, startLanes } from './archive-lanes.ts';
import { adoptStandings, adoptStores, circuitOf, countingStores, looksOf } from './archive-records.ts';
import { rotateIfAsked, rotateIfDue } from './archive-rotation.ts';
import { whileStaging } from './archive-staging.ts';
import { storesShort, switchStores } from './archive-switch.ts';
import { tellSwitches } from './archive-switch-told.ts';
import { adoptWaiting, keyOf } from './archive-waiting.ts';

/** What a round achieved. */
export interface RoundResult {
  readonly settings: ArchiveSettings;
  readonly archived: number;
}

/**
 * One round of archiving: hold the epoch, carry out what operators decided, look at the server, decide
 * which stores count, stage what is closed, give each store what it lacks, wait for those that count
 * while they keep pace, and close the open log where its time has come. What goes to a store goes on
 * beyond the round.
 */
export async function archiveRound(entity: ArchiveEntity): Promise<RoundResult> {
  entity.phase = 'discovering';
  const before = entity.segmentsArchived;
  const settings = await controlActivities().archiveSettings(entity.input);
  entity.host = settings.host;
  adoptStores(entity, settings.stores);
  // Also where nothing else is to be done: who stands by, or whose server is gone, knows all the same when a store is back.
  startLanes(entity, settings, { archive: [], stores: [] });
  await tryStoresIfAsked(entity);
  await claimOnce(entity, settings.host);
  await carryOutDecisions(entity, settings.host);
  await rotateIfAsked(entity, settings);
  const found = await lookAtSource(entity, settings);
  noteSwitched(entity, found);
  await claimOnce(entity, settings.host);
  await switchStores(entity, settings, found);
  // Before all that may fail: the server purges all the same.
  const ready = await stage(entity, settings, found);
  noteProblems(entity, found.problems);
  await release(entity, settings, found);
  entity.phase = 'transferring';
  startLanes(entity, settings, { archive: ready, stores: found.stores });
  // Beside the lanes: a store that cannot take such an entry may be filled by one.
  await writeLetters(entity, found.stores);
  if (isCountingBusy(entity))
    await whileStaging(entity, settings.host, () => countingStoresIdle(entity, settings));
  await writeLetters(entity, found.stores);
  await tellSwitches(entity, settings);
  // Also while a store that counts is away: what is closed is staged, and goes to the others.
  await rotateIfDue(entity, settings, found.open);
  throwFailures(entity);
  return { settings, archived: entity.segmentsArchived - before };
}

/** Sees what is closed, what is archived, and what cannot be archived. */
async function lookAtSource(entity: ArchiveEntity, { host }: ArchiveSettings): Promise<Discovery> {
  entity.committed.clear();
  const found = await hostActivities(host).discoverBinlogs({
    ...entity.input,
    stores: looksOf(entity),
    heads: entity.heads,
    setAside: setAsideOf(entity),
    givenUp: entity.givenUp,
  });
  const unread = entity.heads.filter((head) => !found.heads.some(({ store }) => store === head.store));
  entity.heads = [...found.heads, ...unread];
  entity.archivedThrough = found.archivedThrough ?? entity.archivedThrough;
  adoptStandings(entity, found.stores);
  adoptBoundaries(entity, found);
  for (const { store, failure } of found.stores) {
    if (failure !== null) noteFailure(entity, store, failure);
  }
  await reachUnread(entity, host, found);
  noteRetention(entity, found.retention);
  adoptWaiting(entity, found);
  return found;
}

/** Tries a store that counts and could not be read, until it answers or is given up. */
async function reachUnread(entity: ArchiveEntity, host: string, found: Discovery): Promise<void> {
  for (const { store } of countingStores(entity)) {
    const standing = found.stores.find((it) => it.store === store);
    if (standing?.failure == null || circuitOf(entity, store).kind !== 'closed') continue;
    try {
      await onStore(entity, host, store, (earlierTries) =>
        storeTries(host).reachStore({ ...entity.input, store, earlierTries }),
      );
      // What was found without it is looked at anew.
      entity.wake = true;
    } catch (error) {
      if (circuitOf(entity, store).kind === 'closed') throw error;
    }
  }
}

/** Tells the log once for each level that the alarm reaches; `status` tells all of it. */
function noteRetention(entity: ArchiveEntity, alarm: RetentionAlarm): void {
  const before = entity.retention?.level ?? 'none';
  entity.retention = alarm;
  if (alarm.level === before || alarm.reason !== 'counting-down') return;
  const { level, binlog, minutesLeft, atRisk } = alarm;
  if (level !== 'none')
    log.warn('the server will purge what is not archived', { level, binlog, minutesLeft, ...atRisk });
}

/** Links closed logs, before the server can purge them. Gives back those that are safe now. */
async function stage(
  entity: ArchiveEntity,
  { host }: ArchiveSettings,
  found: Discovery,
): Promise<readonly PlannedLog[]> {
  if (found.stage.length === 0) return found.archive;
  const count = await stagingActivities(host).stageBinlogs({ ...entity.input, logs: found.stage });
  const [vanished] = found.stage.slice(count);
  if (vanished === undefined) return found.archive;
  entity.wake = true;
  const cut = found.archive.findIndex(({ log: it }) => keyOf(it) === keyOf(vanished));
  return cut < 0 ? found.archive : found.archive.slice(0, cut);
}

/** Removes what needs no staging any more, where nobody reads it at this moment. */
async function release(entity: ArchiveEntity, { host }: ArchiveSettings, found: Discovery): Promise<void> {
  const busy = logsInLanes(entity);
  const logs = found.release.filter((it) => !busy.has(keyOf(it)));
  if (logs.length > 0) await hostActivities(host).releaseBinlogs({ ...entity.input, logs });
}

/**
 * Waits until nothing goes to a store that counts, or until something happened that changes what is to be done.
 * A store that has got all waits no longer for a slower one than a poll lasts: what is closed meanwhile goes to
 * it in the next round, beside the slow transfer.
 */
async function countingStoresIdle(entity: ArchiveEntity, { pollSeconds }: ArchiveSettings): Promise<void> {
  const isOver = (): boolean => !isCountingBusy(entity) || entity.wake;
  await condition(() => isOver() || isAnyCountingIdle(entity));
  if (isOver() || (await condition(isOver, `${pollSeconds} seconds`))) return;
  entity.wake = true;
}

function isAnyCountingIdle(entity: ArchiveEntity): boolean {
  return countingStores(entity).some(
    ({ store, circuit }) => circuit.kind === 'closed' && !entity.lanes.has(store),
  );
}

/** @throws what went wrong for a store that counts; nothing where another store is about to count for it */
function throwFailures(entity: ArchiveEntity): void {
  const [failure] = entity.laneFailures;
  entity.laneFailures = [];
  if (failure !== undefined) throw failure;
  const short = storesShort(entity);
  if (short === null) return;
  // No other store can count for it, so that looking again at once would change nothing.
  entity.wake = short.hope === 'switch';
  if (short.hope === 'none') throw short.error;
}
