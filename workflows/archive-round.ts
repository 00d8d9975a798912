import type { ArchiveSettings } from '../activities/archive.ts';
import type { StoredIn } from '../activities/archive-transfers.ts';
import type { Discovery, PlannedLog } from '../src/archiving/discovery.ts';
import { HEIRS_HAVE_IT } from '../src/domain/refused-binlog.ts';
import { startAhead } from './ahead.ts';
import {
  controlActivities,
  hostActivities,
  stagingActivities,
  transferActivities,
} from './archive-activities.ts';
import { carryOutDecisions, forget, noteProblems, setAsideOf, writeLetter } from './archive-dead-letters.ts';
import { type ArchiveEntity, ticketsOfRound } from './archive-entity.ts';
import { refusalOf } from './archive-failures.ts';
import { claimOnce, held } from './archive-hold.ts';
import { rotateIfAsked, rotateIfDue } from './archive-rotation.ts';
import { whileStaging } from './archive-staging.ts';

/** What a round achieved. */
export interface RoundResult {
  readonly settings: ArchiveSettings;
  readonly archived: number;
}

/**
 * One round of archiving: hold the epoch, carry out what operators decided, look at the server, stage what is
 * closed, transfer ahead in parallel, commit in order, release, and close the open log where its
 * time has come.
 */
export async function archiveRound(entity: ArchiveEntity): Promise<RoundResult> {
  entity.phase = 'discovering';
  const settings = await controlActivities().archiveSettings(entity.input);
  entity.host = settings.host;
  await claimOnce(entity, settings.host);
  await carryOutDecisions(entity, settings.host);
  await rotateIfAsked(entity, settings);
  const found = await lookAtSource(entity, settings);
  // First of all: what comes after it may fail, and the server purges all the same.
  const ready = await stage(entity, settings, found);
  await noteProblems(entity, found.problems);
  if (found.release.length > 0)
    await hostActivities(settings.host).releaseBinlogs({ ...entity.input, logs: found.release });
  entity.phase = 'transferring';
  const archived =
    ready.length === 0
      ? 0
      : await whileStaging(entity, settings.host, () => archiveInOrder(entity, settings, ready));
  await rotateIfDue(entity, settings, found.open);
  return { settings, archived };
}

/** Sees what is closed, what is archived, and what cannot be archived. */
async function lookAtSource(entity: ArchiveEntity, { host }: ArchiveSettings): Promise<Discovery> {
  const found = await hostActivities(host).discoverBinlogs({
    ...entity.input,
    heads: entity.heads,
    setAside: setAsideOf(entity),
    givenUp: entity.givenUp,
  });
  entity.heads = found.heads;
  entity.backlog = found.backlog;
  entity.archivedThrough = found.archivedThrough;
  for (const ticket of ticketsOfRound(entity)) ticket.remaining ??= found.backlog.logs;
  return found;
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
  const cut = found.archive.findIndex(
    ({ log }) => log.binlog === vanished.binlog && log.createdAt === vanished.createdAt,
  );
  return cut < 0 ? found.archive : found.archive.slice(0, cut);
}

/** Seals and uploads several logs at once, and commits them one by one, oldest first. */
async function archiveInOrder(
  entity: ArchiveEntity,
  settings: ArchiveSettings,
  logs: readonly PlannedLog[],
): Promise<number> {
  let goesOn = true;
  const mayStart = (): boolean => goesOn && entity.mode === 'running';
  const transfer = (planned: PlannedLog) => transferLog(entity, settings, planned);
  const outcomes = startAhead(logs, settings.parallelTransfers, transfer, mayStart);
  let archived = 0;
  let failure: { readonly error: unknown } | null = null;
  for (const [index, planned] of logs.entries()) {
    const outcome = await outcomes[index];
    // Every transfer under way is awaited, so that none goes on unseen into the next round.
    if (!goesOn || outcome === undefined || outcome.status === 'not-started') continue;
    try {
      if (outcome.status === 'failed') throw outcome.error;
      await commit(entity, settings, planned, outcome.value);
      archived += 1;
    } catch (error) {
      if (await isFenced(entity, settings, planned, error)) continue;
      goesOn = false;
      if (!(await isDeadLetter(entity, planned, error))) failure = { error };
    }
  }
  if (failure !== null) throw failure.error;
  return archived;
}

/** Seals a log, and uploads it to every store that lacks it. */
async function transferLog(
  entity: ArchiveEntity,
  { host }: ArchiveSettings,
  { log, successor, stores }: PlannedLog,
): Promise<readonly StoredIn[]> {
  const transfers = transferActivities(host);
  await transfers.sealSegment({ ...entity.input, planned: { log, successor, stores } });
  return Promise.all(stores.map((store) => transfers.uploadSegment({ ...entity.input, log, store })));
}

/** Names a log in every catalog; only then it is archived, and its staged files can go. */
async function commit(
  entity: ArchiveEntity,
  { host }: ArchiveSettings,
  { log }: PlannedLog,
  stored: readonly StoredIn[],
): Promise<void> {
  const done = await hostActivities(host).commitSegment({ ...held(entity), log, stored });
  entity.archivedThrough = done;
  forget(entity, log);
  entity.segmentsArchived += 1;
  entity.backlog = {
    logs: entity.backlog.logs - 1,
    bytes: entity.backlog.bytes - log.lengthBytes,
  };
  for (const ticket of ticketsOfRound(entity)) {
    ticket.archived.push(log.binlog);
    ticket.remaining = (ticket.remaining ?? 0) - 1;
  }
  await hostActivities(host).releaseBinlogs({ ...entity.input, logs: [log] });
}

/**
 * Deals with a log of an earlier server that was handed away: released where its heirs have all of it,
 * else on the list. False for any other failure. It holds up nobody: no log of that server is added any
 * more, in whatever order.
 */
async function isFenced(
  entity: ArchiveEntity,
  { host }: ArchiveSettings,
  { log }: PlannedLog,
  error: unknown,
): Promise<boolean> {
  const refusal = refusalOf(error, log.binlog);
  switch (refusal?.code) {
    case 'HandedAway':
      await writeLetter(entity, log, refusal, 'fence');
      return true;
    case HEIRS_HAVE_IT:
      forget(entity, log);
      await hostActivities(host).releaseBinlogs({ ...entity.input, logs: [log] });
      return true;
    default:
      return false;
  }
}

/** Puts a log that cannot be archived as it is on the dead-letter list; false for any other failure. */
async function isDeadLetter(entity: ArchiveEntity, { log }: PlannedLog, error: unknown): Promise<boolean> {
  const refusal = refusalOf(error, log.binlog);
  if (refusal === undefined) return false;
  if (isPlansMatter(refusal.code)) entity.wake = true;
  else await writeLetter(entity, log, refusal);
  return true;
}

/** What the next look at the server says by itself, and keeps saying until it is mended. */
function isPlansMatter(code: string): boolean {
  return code === 'ArchiveGap' || code === 'SegmentLate';
}
