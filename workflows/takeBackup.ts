import {
  ApplicationFailure,
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { BackupHostActivities, BackupStoreActivities } from '../activities/backup.ts';
import { toFailure } from '../activities/failures.ts';
import type { RegisteredBackup, UploadedBackup } from '../src/backup/state.ts';
import { controlActivities } from './archive-activities.ts';
import { describeFailure } from './archive-failures.ts';
import {
  type BackupProgress,
  TAKE_BACKUP,
  type TakeBackupInput,
  type TakeBackupResult,
} from './contracts/backup.ts';
import { decode } from './decode.ts';
import { backupProgress, rotateNow } from './messages.ts';
import { nowText } from './now.ts';
import { hostQueue, regionOf, storeQueue } from './queues.ts';

const RETRY = {
  initialInterval: '1 second',
  backoffCoefficient: 2,
  maximumInterval: '1 minute',
  maximumAttempts: 10,
} as const;
/** How often, and how many times, the catalogs are asked for the binlogs up to the backup's end. */
const COMPLETENESS_POLL = '2 seconds';
const COMPLETENESS_POLLS = 60;

type Report = { -readonly [K in keyof BackupProgress]: BackupProgress[K] };

/**
 * Takes a base backup of one source in five phases, each an activity of that name. Id
 * `backup/{cluster}/{time}`. A phase that is killed goes on where it can; a backup that cannot be
 * finished leaves nothing on the host, and no catalog entry.
 */
export async function takeBackup(input: TakeBackupInput): Promise<TakeBackupResult> {
  const source = decode(TAKE_BACKUP, input);
  const report: Report = { backupId: null, phase: 'prepare', startedAt: nowText() };
  setHandler(backupProgress, () => report);
  try {
    const { host } = await controlActivities().archiveSettings(source);
    return await backUp(source, phasesOn(host), report);
  } catch (error) {
    // Temporal wraps an activity's failure; what it says is said at the top.
    throw isCancellation(error) ? error : toFailure(describeFailure(error));
  }
}

async function backUp(
  source: TakeBackupInput,
  phases: BackupHostActivities,
  report: Report,
): Promise<TakeBackupResult> {
  const random = uuid4().slice(0, 8);
  const prepared = await phases.prepare({ ...source, requestedAt: report.startedAt, random });
  report.backupId = prepared.backupId;
  try {
    enter(report, 'executeUnderLimits');
    const cloned = await phases.executeUnderLimits({ ...source, state: prepared });
    enter(report, 'captureCoordinates');
    const captured = await phases.captureCoordinates({ ...source, state: cloned });
    enter(report, 'sealAndUpload');
    const uploaded = await phases.sealAndUpload({ ...source, state: captured });
    enter(report, 'validateAndRegister');
    const registered = await phases.validateAndRegister({ ...source, state: uploaded });
    enter(report, 'completing');
    const completeness = await untilComplete(source, prepared.archivedBy, registered);
    enter(report, 'done');
    return resultOf(source, uploaded, registered, completeness);
  } catch (error) {
    if (report.phase !== 'completing') await abandon(source, phases, prepared.backupId);
    throw error;
  }
}

/** Removes what is left on the host, also where the workflow was cancelled. A registered backup stands. */
function abandon(source: TakeBackupInput, phases: BackupHostActivities, backupId: string): Promise<void> {
  return CancellationScope.nonCancellable(() => phases.abandonBackup({ ...source, backupId }));
}

function phasesOn(host: string): BackupHostActivities {
  return proxyActivities<BackupHostActivities>({
    taskQueue: hostQueue(host),
    startToCloseTimeout: '48 hours',
    heartbeatTimeout: '8 seconds',
    retry: RETRY,
  });
}

function enter(report: Report, phase: BackupProgress['phase']): void {
  report.phase = phase;
  setCurrentDetails(`Backup \`${report.backupId}\`: **${phase}** since ${nowText()}`);
}

/**
 * A backup is a base for later targets only once the binlogs up to its end are archived in the stores
 * that have it: asks for the open one, and waits some minutes for it. Where nobody archives the source,
 * it says so at once.
 */
async function untilComplete(
  { cluster, source }: TakeBackupInput,
  archivedBy: string,
  { backupId, registered }: RegisteredBackup,
): Promise<TakeBackupResult['completeness']> {
  const catalogs = proxyActivities<BackupStoreActivities>({
    taskQueue: storeQueue(regionOf(workflowInfo().taskQueue)),
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '8 seconds',
    retry: RETRY,
  });
  const archiving = await askForOpenLog(`archive/${cluster}/${archivedBy}`);
  for (let poll = 0; poll < COMPLETENESS_POLLS; poll += 1) {
    const stores = registered.map(({ store }) => store);
    const kind = await catalogs.backupCompleteness({ cluster, source, backupId, stores });
    if (kind === 'complete' || archiving === 'absent') return kind;
    await sleep(COMPLETENESS_POLL);
  }
  return 'waiting';
}

async function askForOpenLog(workflowId: string): Promise<'asked' | 'absent'> {
  try {
    await getExternalWorkflowHandle(workflowId).signal(rotateNow, {});
    return 'asked';
  } catch (error) {
    if (error instanceof ApplicationFailure && error.type === 'ExternalWorkflowExecutionNotFound')
      return 'absent';
    throw error;
  }
}

function resultOf(
  { cluster, source }: TakeBackupInput,
  uploaded: UploadedBackup,
  registered: RegisteredBackup,
  completeness: TakeBackupResult['completeness'],
): TakeBackupResult {
  const [first] = registered.registered;
  if (first === undefined)
    throw ApplicationFailure.nonRetryable('A backup was registered in no store.', 'NoStore');
  const { backup, object } = first;
  return {
    cluster,
    source,
    backupId: registered.backupId,
    gtidExecuted: backup.coordinates.gtidExecuted,
    binlog: backup.coordinates.binlog,
    position: backup.coordinates.position,
    timeline: backup.timeline,
    dataBytes: uploaded.dataBytes,
    storedBytes: object.lengthBytes,
    completeness,
    notes: registered.notes,
    stores: registered.registered.map(({ store }) => store),
    lackedBy: registered.left,
    startedAt: backup.startedAt,
    finishedAt: backup.finishedAt,
  };
}
