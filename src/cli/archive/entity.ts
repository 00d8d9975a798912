import { WithStartWorkflowOperation, type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client';
import { fromFailure } from '../../../activities/failures.ts';
import type { archiveSource } from '../../../workflows/archiveSource.ts';
import type { ArchiveNowResult, ArchiveStatus } from '../../../workflows/contracts/archive.ts';
import { controlQueue } from '../../../workflows/queues.ts';
import { AppError } from '../../domain/errors.ts';
import type { TemporalSession } from '../temporal-client.ts';

/** A source and where its workflow runs. */
export interface SourceEntity {
  readonly cluster: string;
  readonly source: string;
  readonly region: string;
}

/** Id of the workflow that archives a source. */
export function entityId({ cluster, source }: SourceEntity): string {
  return `archive/${cluster}/${source}`;
}

function startOptions(entity: SourceEntity) {
  const { cluster, source } = entity;
  return {
    workflowId: entityId(entity),
    taskQueue: controlQueue(entity.region),
    workflowIdConflictPolicy: 'USE_EXISTING',
    args: [{ cluster, source }] as [{ cluster: string; source: string }],
    staticSummary: `Archives the binlogs of ${cluster}/${source}`,
  } as const;
}

/** Starts the workflow of a source, or finds it running. */
export async function startEntity(
  { client }: TemporalSession,
  entity: SourceEntity,
): Promise<'started' | 'running'> {
  const before = await describeEntity(client.workflow.getHandle(entityId(entity)));
  await client.workflow.start<typeof archiveSource>('archiveSource', startOptions(entity));
  return before === 'RUNNING' ? 'running' : 'started';
}

async function describeEntity(handle: WorkflowHandle): Promise<string | null> {
  try {
    return (await handle.describe()).status.name;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

/**
 * Starts the workflow where it does not run, and has it archive all that is closed as of now. A run
 * of the workflow that ends meanwhile says so, and the next one is asked for the rest.
 * @throws AppError
 */
export async function archiveNow(session: TemporalSession, entity: SourceEntity): Promise<ArchiveNowResult> {
  const archived: string[] = [];
  for (;;) {
    const result = await askArchiveNow(session, entity);
    archived.push(...result.archived);
    if (result.state === 'done') return { ...result, archived };
  }
}

function askArchiveNow({ client }: TemporalSession, entity: SourceEntity): Promise<ArchiveNowResult> {
  const startWorkflowOperation = new WithStartWorkflowOperation<typeof archiveSource>(
    'archiveSource',
    startOptions(entity),
  );
  return asked(entity, () =>
    client.workflow.executeUpdateWithStart<typeof archiveSource, ArchiveNowResult, []>('archiveNow', {
      startWorkflowOperation,
      args: [],
    }),
  );
}

/** Runs a request to the workflow; its failures become AppErrors again. */
export async function asked<T>(entity: SourceEntity, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw notArchiving(entity, error);
    throw fromFailure(error) ?? error;
  }
}

/** The status of a source's workflow. @throws refused `NotArchiving` */
export function entityStatus({ client }: TemporalSession, entity: SourceEntity): Promise<ArchiveStatus> {
  return asked(entity, () => client.workflow.getHandle(entityId(entity)).query<ArchiveStatus>('status'));
}

/** Fails at once where no worker would ever answer. @throws unavailable `NoWorker` */
export async function assertWorker(
  { connection, namespace }: TemporalSession,
  region: string,
): Promise<void> {
  const taskQueue = { name: controlQueue(region) };
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue,
    taskQueueType: 1,
  });
  if ((pollers ?? []).length > 0) return;
  throw new AppError({
    code: 'NoWorker',
    kind: 'unavailable',
    message: `No worker polls ${taskQueue.name}, so nobody would do this.`,
    hint: 'Start one: pitrail worker',
    facts: { taskQueue: taskQueue.name },
  });
}

function notArchiving(entity: SourceEntity, cause: unknown): AppError {
  return new AppError({
    code: 'NotArchiving',
    kind: 'refused',
    message: `${entity.cluster}/${entity.source} is not being archived: no workflow ${entityId(entity)} runs.`,
    hint: 'Start it: pitrail apply',
    facts: { workflowId: entityId(entity) },
    cause,
  });
}
