import { Context } from '@temporalio/activity';
import { AppError } from '../src/domain/errors.ts';
import { type ArchivingFacts, type HoldUp, holdUpOf } from '../src/domain/routing/hold-up.ts';
import { within } from '../src/handoff/within.ts';
import type { ArchiveStatus } from '../workflows/contracts/archive.ts';
import type { SourceName } from './on-source.ts';

/** A query waits for a worker; the source itself is looked at every second meanwhile, or nearly so. */
const QUERY_MS = 3_000;

/** Asks the workflow that archives a source what keeps a log from being archived; unknown where it does not answer. */
export async function askHoldUp({ cluster, source }: SourceName): Promise<HoldUp> {
  const { client } = Context.current();
  const workflowId = `archive/${cluster}/${source}`;
  const ask = () => client.workflow.getHandle(workflowId).query<ArchiveStatus, []>('status');
  try {
    return holdUpOf(factsOf(await within(QUERY_MS, workflowId, ask)));
  } catch (error) {
    if (isSilence(error)) return { kind: 'unknown' };
    throw error;
  }
}

/** Nobody answers, or there is nobody: what the client of Temporal calls it. */
const SILENCE: ReadonlySet<string> = new Set([
  'ServiceError',
  'WorkflowNotFoundError',
  'QueryNotRegisteredError',
  'QueryRejectedError',
]);

function isSilence(error: unknown): boolean {
  if (error instanceof AppError) return error.kind === 'unavailable';
  return error instanceof Error && SILENCE.has(error.name);
}

function factsOf({ mode, stores, standIns, lanes }: ArchiveStatus): ArchivingFacts {
  return {
    mode,
    standIns,
    stores: stores.map((record) => ({
      ...record,
      work: lanes.find(({ store }) => store === record.store)?.work ?? 'none',
    })),
  };
}
