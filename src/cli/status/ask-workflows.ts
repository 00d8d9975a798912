import {
  QueryNotRegisteredError,
  QueryRejectedError,
  ServiceError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { ArchiveStatus } from '../../../workflows/contracts/archive.ts';
import type { ClusterConfig, PitrailConfig } from '../../config/types.ts';
import { AppError } from '../../domain/errors.ts';
import { entityId } from '../archive/entity.ts';
import { connectTemporal, type TemporalSession } from '../temporal-client.ts';
import type { WorkflowAnswer } from './facts.ts';

/** A query waits for a worker; none answers within this where none runs. */
const QUERY_TIMEOUT_MS = 5000;

/** Asks the archiving workflow of each source of a cluster for its status, in the order of the sources. */
export async function askWorkflows(
  cluster: ClusterConfig,
  { temporal, region }: Pick<PitrailConfig, 'temporal' | 'region'>,
): Promise<WorkflowAnswer[]> {
  try {
    const session = await connectTemporal(temporal);
    try {
      return await Promise.all(
        cluster.sources.map(({ id }) =>
          askEntity(session, entityId({ cluster: cluster.name, source: id, region })),
        ),
      );
    } finally {
      await session.close();
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return cluster.sources.map(() => ({ status: 'unreachable', error }));
  }
}

async function askEntity(session: TemporalSession, workflowId: string): Promise<WorkflowAnswer> {
  const asked = await askWorkflow<ArchiveStatus>(session, workflowId, 'status');
  return asked.status === 'running'
    ? { status: asked.status, workflowId, archive: asked.answer }
    : { status: asked.status, workflowId };
}

/** What a workflow answers to a query, or why it does not. */
type Asked<Answer> =
  | { readonly status: 'running'; readonly workflowId: string; readonly answer: Answer }
  | { readonly status: 'silent' | 'not-running'; readonly workflowId: string };

/** Asks a workflow for its status. @throws unavailable where Temporal cannot be reached */
export async function askWorkflow<Answer>(
  { client, connection }: TemporalSession,
  workflowId: string,
  query: string,
): Promise<Asked<Answer>> {
  const handle = client.workflow.getHandle(workflowId);
  try {
    const { status } = await handle.describe();
    if (status.name !== 'RUNNING') return { status: 'not-running', workflowId };
    const deadline = Date.now() + QUERY_TIMEOUT_MS;
    const answer = await connection.withDeadline(deadline, () => handle.query<Answer, []>(query));
    return { status: 'running', workflowId, answer };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { status: 'not-running', workflowId };
    if (
      error instanceof ServiceError ||
      error instanceof QueryNotRegisteredError ||
      error instanceof QueryRejectedError
    ) {
      return { status: 'silent', workflowId };
    }
    throw error;
  }
}
