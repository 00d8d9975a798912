import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { ArchiveSettings, CommitSummary } from '../activities/archive.ts';
import type { SealSummary, StoredIn } from '../activities/archive-transfers.ts';
import { fromFailure } from '../activities/failures.ts';
import type { Discovery, PlannedLog } from '../src/archiving/discovery.ts';
import type { LogRef } from '../src/archiving/staging.ts';
import { assertNever } from '../src/domain/errors.ts';
import { type LaneNeeds, type LaneWork, laneWork } from '../src/domain/routing/lane-work.ts';
import { startAhead } from './ahead.ts';
import { hostActivities, storeTries, transferActivities } from './archive-activities.ts';
import { noteFailure, onStore, probeUntilBack } from './archive-circuits.ts';
import { forget } from './archive-dead-letters.ts';
import type { ArchiveEntity } from './archive-entity.ts';
import { held, switchDone } from './archive-hold.ts';
import type { Lane } from './archive-lane.ts';
import { failLane, failTransfer, passFenced } from './archive-lane-failures.ts';
import { circuitOf, countingStores, update } from './archive-records.ts';
import { isLackedBy, keyOf, noteCommitted } from './archive-waiting.ts';

/** A fill that copied nothing is not tried at every poll. */
const REST_MS = 60_000;
/** Nor one whose other store failed: by then that is given up, or is back. */
const HOLDER_REST_MS = 5_000;

/** Gives every store that has nothing under way what is to be done for it. */
export function startLanes(
  entity: ArchiveEntity,
  settings: ArchiveSettings,
  { archive, stores }: Pick<Discovery, 'archive' | 'stores'>,
): void {
  // Begun anew for one store after the other, transfers would keep a run that is to end from ending.
  if (entity.run === 'draining' && !isAnyBusy(entity)) return;
  for (const record of entity.stores) {
    const { store, circuit } = record;
    const counts = countingStores(entity).some((it) => it.store === store);
    const isLeft = entity.run === 'draining' && !counts && circuit.kind === 'closed';
    if (entity.lanes.has(store) || isLeft) continue;
    const from = stores.find((standing) => standing.store === store)?.fillFrom ?? null;
    const logs = archive.filter(
      (planned) => planned.stores.includes(store) && isLackedBy(entity, store, planned.log),
    );
    const needs = { holder: standsOf(entity, from), logs: logs.length };
    startWork(entity, settings, { store, work: laneWork(record, needs, Date.now()), from, logs });
  }
}

function standsOf(entity: ArchiveEntity, holder: string | null): LaneNeeds['holder'] {
  if (holder === null) return 'none';
  return circuitOf(entity, holder).kind === 'closed' ? 'reachable' : 'away';
}

interface NextWork {
  readonly store: string;
  readonly work: LaneWork;
  /** The store that has what this one must be filled with. */
  readonly from: string | null;
  readonly logs: readonly PlannedLog[];
}

function startWork(
  entity: ArchiveEntity,
  settings: ArchiveSettings,
  { store, work, from, logs }: NextWork,
): void {
  switch (work) {
    case 'probe':
      start(entity, settings, store, work, [], () => probeUntilBack(entity, settings.host, store));
      break;
    case 'fill':
      if (from !== null) start(entity, settings, store, work, [], () => fill(entity, settings, from, store));
      break;
    case 'transfer':
      start(entity, settings, store, work, logs, () => transferLogs(entity, settings, store, logs));
      break;
    case 'rest':
      break;
    default:
      assertNever(work);
  }
}

function start(
  entity: ArchiveEntity,
  settings: ArchiveSettings,
  store: string,
  work: Lane['work'],
  logs: readonly PlannedLog[],
  run: () => Promise<void>,
): void {
  const scope = new CancellationScope({ cancellable: true });
  const ended = scope.run(run).catch((error: unknown) => failLane(entity, store, error));
  const lane: Lane = { store, work, logs: new Set(logs.map(({ log }) => keyOf(log))), scope, ended };
  entity.lanes.set(store, lane);
  void ended.then(() => endLane(entity, settings, lane));
}

function endLane(entity: ArchiveEntity, settings: ArchiveSettings, { store, work }: Lane): void {
  entity.lanes.delete(store);
  if (entity.run === 'ending') return;
  const isOpen = circuitOf(entity, store).kind !== 'closed';
  if (isOpen) startLanes(entity, settings, { archive: [], stores: [] });
  // A store that is back gets what it lacks; one that has caught up may count for another.
  const isShort = countingStores(entity).some(({ circuit }) => circuit.kind !== 'closed');
  if (!isOpen && (work !== 'transfer' || isShort || entity.standIns.length > 0)) entity.wake = true;
}

/** Brings a store what only another one has: logs that are not staged any more, and handoffs. */
async function fill(
  entity: ArchiveEntity,
  { host }: ArchiveSettings,
  from: string,
  store: string,
): Promise<void> {
  const filled = await onStore(entity, host, store, (earlierTries) =>
    transferActivities(host).fillStore({ ...entity.input, from, to: store, earlierTries }),
  );
  if (filled.kind === 'holder-failed') {
    noteFailure(entity, from, filled.failure);
    update(entity, store, { nextFillMs: Date.now() + HOLDER_REST_MS });
    return;
  }
  if (filled.entries > 0) update(entity, store, { failure: null, restUntilMs: 0, nextFillMs: 0 });
  else update(entity, store, { nextFillMs: Date.now() + REST_MS });
}

/** Seals and uploads several logs at once, and commits them one by one, oldest first. */
async function transferLogs(
  entity: ArchiveEntity,
  settings: ArchiveSettings,
  store: string,
  logs: readonly PlannedLog[],
): Promise<void> {
  let goesOn = true;
  const counts = countingStores(entity).some((record) => record.store === store);
  const mayStart = (): boolean => goesOn && entity.mode === 'running' && (counts || entity.run === 'open');
  const work = (planned: PlannedLog) =>
    sealAndUpload(entity, settings, store, planned, counts ? 'counts' : 'follows');
  const outcomes = startAhead(logs, counts ? settings.parallelTransfers : 1, work, mayStart);
  let failure: { readonly log: LogRef; readonly error: unknown } | null = null;
  for (const [index, { log }] of logs.entries()) {
    const outcome = await outcomes[index];
    // Every transfer under way is awaited, so that none goes on unseen.
    if (!goesOn || outcome === undefined || outcome.status === 'not-started') continue;
    try {
      if (outcome.status === 'failed') throw outcome.error;
      const { value } = outcome;
      const summary = await onStore(entity, settings.host, store, (earlierTries) =>
        commit(entity, settings.host, log, value, earlierTries),
      );
      forget(entity, log);
      if (noteCommitted(entity, store, log, summary)) {
        await hostActivities(settings.host).releaseBinlogs({ ...entity.input, logs: [log] });
      }
    } catch (error) {
      if (await passFenced(entity, settings.host, store, log, error)) continue;
      goesOn = false;
      failure = { log, error };
    }
  }
  if (failure !== null) failTransfer(entity, store, failure.log, failure.error);
}

/** Seals a log once, whatever the number of stores, and uploads it to one of them. */
async function sealAndUpload(
  entity: ArchiveEntity,
  { host }: ArchiveSettings,
  store: string,
  planned: PlannedLog,
  pace: 'counts' | 'follows',
): Promise<StoredIn> {
  await sealOnce(entity, host, planned);
  const { log } = planned;
  return onStore(entity, host, store, (earlierTries) =>
    transferActivities(host).uploadSegment({ ...entity.input, log, store, pace, earlierTries }),
  );
}

/** Lanes that want the same log share one seal; what was sealed before is found by the step itself. */
function sealOnce(entity: ArchiveEntity, host: string, planned: PlannedLog): Promise<SealSummary> {
  const key = keyOf(planned.log);
  const running = entity.seals.get(key);
  if (running !== undefined) return running;
  // Outside of any lane: one that is cancelled must not take the others' seal with it.
  const sealing = CancellationScope.nonCancellable(() =>
    transferActivities(host).sealSegment({ ...entity.input, planned }),
  );
  entity.seals.set(key, sealing);
  const ended = (): void => void entity.seals.delete(key);
  sealing.then(ended, ended);
  return sealing;
}

/** Names a log in the catalog of one store. A switch of stores raises the epoch, also under way. */
async function commit(
  entity: ArchiveEntity,
  host: string,
  log: LogRef,
  stored: StoredIn,
  earlierTries: number,
): Promise<CommitSummary> {
  await switchDone(entity);
  const { epoch, ...name } = held(entity);
  try {
    return await storeTries(host).commitSegment({ ...name, epoch, log, stored, earlierTries });
  } catch (error) {
    if (isCancellation(error) || fromFailure(error)?.code !== 'StaleEpoch') throw error;
    await switchDone(entity);
    const now = held(entity).epoch;
    if (now <= epoch) throw error;
    return storeTries(host).commitSegment({ ...name, epoch: now, log, stored, earlierTries });
  }
}

/** True while something goes to a store that is waited for. */
export function isCountingBusy(entity: ArchiveEntity): boolean {
  return countingStores(entity).some(({ store }) => {
    const work = entity.lanes.get(store)?.work;
    return work === 'transfer' || work === 'fill';
  });
}

/** True while anything goes to a store; probes do not count. */
export function isAnyBusy(entity: ArchiveEntity): boolean {
  return [...entity.lanes.values()].some(({ work }) => work !== 'probe');
}

/** Ends all that is under way; what was cut short is done again by the next run. */
export async function stopLanes(entity: ArchiveEntity): Promise<void> {
  const lanes = [...entity.lanes.values()];
  for (const { scope } of lanes) scope.cancel();
  await Promise.all(lanes.map(({ ended }) => ended));
}

/** Names of logs that a lane may be reading. */
export function logsInLanes(entity: ArchiveEntity): ReadonlySet<string> {
  return new Set([...entity.lanes.values()].flatMap(({ logs }) => [...logs]));
}
