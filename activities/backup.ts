import { type Repository, repositoryIn, signAs, wallClock } from '../src/archiving/repositories.ts';
import type { ArchiveResources } from '../src/archiving/resources.ts';
import { abandonBackup } from '../src/backup/abandon.ts';
import { makeBackupId } from '../src/backup/backup-id.ts';
import { captureCoordinates } from '../src/backup/capture.ts';
import { assertCloneable } from '../src/backup/cloneable.ts';
import { type BackupCompleteness, backupCompleteness } from '../src/backup/completeness.ts';
import type { BackupContext } from '../src/backup/context.ts';
import { executeClone } from '../src/backup/execute.ts';
import { prepareBackup } from '../src/backup/prepare.ts';
import { validateAndRegister } from '../src/backup/register.ts';
import type { CapturedBackup, ClonedBackup, PreparedBackup, UploadedBackup } from '../src/backup/state.ts';
import { uploadBackup } from '../src/backup/upload.ts';
import { AppError } from '../src/domain/errors.ts';
import { parseBackupId } from '../src/domain/identity.ts';
import { isStoreFailure } from '../src/domain/routing/store-failures.ts';
import { parseInstant } from '../src/domain/time.ts';
import { findTool } from '../src/process/tools.ts';
import { type Beat, withHeartbeat } from './heartbeat.ts';
import type { SourceName } from './on-source.ts';

/** Starts a backup; its id is made of these, so that a second try gets the same. */
export interface PrepareInput extends SourceName {
  /** RFC 3339. */
  readonly requestedAt: string;
  /** 8 hexadecimal digits. */
  readonly random: string;
}

/** A phase gets what the phase before it found. */
export interface PhaseInput<State> extends SourceName {
  readonly state: State;
}

export interface BackupName extends SourceName {
  readonly backupId: string;
}

export interface CompletenessInput extends BackupName {
  /** Ids of the stores that have it. */
  readonly stores: readonly string[];
}

/** The five phases, each under its name, on the host of the source. */
export function backupHostActivities(resources: ArchiveResources) {
  const phase = <T>(input: SourceName, work: (context: BackupContext) => Promise<T>): Promise<T> =>
    withHeartbeat(async (beat) => work(await backupContext(resources, input, beat)));
  return {
    /** Phase 1: refuses what cannot be backed up, by name, before anything is done. */
    prepare: (input: PrepareInput) =>
      phase(input, (context) => {
        const backupId = makeBackupId(parseInstant(input.requestedAt), input.random);
        return prepareBackup(context, { backupId });
      }),

    /** Phase 2: the server clones itself into the staging folder. */
    executeUnderLimits: (input: PhaseInput<PreparedBackup>) =>
      phase(input, (context) => executeClone(context, input.state)),

    /** Phase 3: starts the clone once, reads where it stands, stops it cleanly. */
    captureCoordinates: (input: PhaseInput<ClonedBackup>) =>
      phase(input, (context) => captureCoordinates(context, input.state)),

    /** Phase 4: tar, zstd, encryption and every store, as one stream. */
    sealAndUpload: (input: PhaseInput<CapturedBackup>) =>
      phase(input, (context) => uploadBackup(context, input.state)),

    /** Phase 5: reads everything back, and names it in every catalog. */
    validateAndRegister: (input: PhaseInput<UploadedBackup>) =>
      phase(input, (context) => validateAndRegister(context, input.state)),

    /** Removes what a backup that is given up left on the host. */
    abandonBackup: (input: BackupName) =>
      phase(input, (context) => abandonBackup(context, parseBackupId(input.backupId))),
  };
}

/** Activities on the catalogs. */
export function backupStoreActivities(resources: ArchiveResources) {
  return {
    /** Says whether the binlogs up to a backup's end are archived, in every store that has it; one that is away is waited for. */
    backupCompleteness: (input: CompletenessInput): Promise<BackupCompleteness['kind']> =>
      withHeartbeat(async () => {
        const repositories = await resources.repositories(input.cluster);
        for (const store of input.stores) {
          if ((await completenessIn(repositoryIn(repositories, store), input)) === 'waiting')
            return 'waiting';
        }
        return 'complete';
      }),
  };
}

async function completenessIn(
  { catalog }: Repository,
  { backupId }: CompletenessInput,
): Promise<BackupCompleteness['kind']> {
  try {
    const state = await catalog.read();
    const found = state.backup(parseBackupId(backupId));
    if (found === undefined) throw notRegistered(backupId, catalog.store.location);
    const segments = state.segments(found.backup.timeline).map(({ segment }) => segment);
    return backupCompleteness(found.backup, segments).kind;
  } catch (error) {
    if (error instanceof AppError && isStoreFailure(error.code)) return 'waiting';
    throw error;
  }
}

export type BackupHostActivities = ReturnType<typeof backupHostActivities>;
export type BackupStoreActivities = ReturnType<typeof backupStoreActivities>;

async function backupContext(
  resources: ArchiveResources,
  { cluster, source }: SourceName,
  beat: Beat,
): Promise<BackupContext> {
  const found = await resources.source(cluster, source);
  assertCloneable(found.source, found.cluster.sources);
  return {
    connect: found.connect,
    stagingDir: found.source.stagingDir,
    repositories: found.repositories,
    policies: found.cluster.stores.map(({ id, policy }) => ({ store: id, policy })),
    gate: found.gate,
    mysqld: await findTool('mysqld'),
    source,
    role: found.source.role,
    archivedSource: found.cluster.sources.find(({ role }) => role === 'archived')?.id ?? source,
    sign: (epoch) => signAs({ role: 'host', source, epoch }, wallClock)(),
    now: wallClock,
    level: found.cluster.archive.level,
    signal: beat.signal,
    onProgress: (doneBytes, totalBytes) => beat.report({ doneBytes, totalBytes }),
  };
}

function notRegistered(backupId: string, location: string): AppError {
  return new AppError({
    code: 'BackupNotRegistered',
    kind: 'bug',
    message: `${location} does not name backup ${backupId}, which was registered there.`,
    facts: { backupId, location },
  });
}
