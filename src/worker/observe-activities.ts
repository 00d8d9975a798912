import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { StoreTry } from '../../activities/archive-stores.ts';
import { fromFailure } from '../../activities/failures.ts';
import type { AppError } from '../domain/errors.ts';
import { binlogIndex, isBinlogName } from '../domain/identity.ts';
import { REFUSED_BINLOG } from '../domain/refused-binlog.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type SyncFailure, syncFailed } from '../telemetry/sync-events.ts';
import { stepOf, traceFields, traceOfRun, withTrace } from '../telemetry/trace.ts';
import type { StoreBoard } from './store-board.ts';
import { phaseOf, type SyncWatch } from './sync-watch.ts';

export interface Observers {
  readonly logger: Logger;
  readonly sync: SyncWatch;
  readonly stores: StoreBoard;
  readonly now: () => number;
}

/** One attempt of an activity, as Temporal describes it. */
interface Attempt {
  readonly activityType: string;
  readonly attempt: number;
  readonly workflowId: string | null;
  readonly runId: string | null;
}

/**
 * Runs every activity as a step of its workflow run's trace, so that its log lines, audit records and
 * requests carry that trace's id; tells the metrics what it did, and the log what went wrong.
 */
export function observeActivities(observers: Observers): ActivityInterceptorsFactory {
  return ({ info }) => {
    const run = info.workflowExecution;
    const trace = stepOf(traceOfRun(run?.runId ?? info.base64TaskToken));
    const { activityType, attempt } = info;
    const what = { activityType, attempt, workflowId: run?.workflowId ?? null, runId: run?.runId ?? null };
    return {
      inbound: {
        execute: (input, next) =>
          withTrace(trace, async () => {
            const startedAtMs = performance.now();
            try {
              const result = await next(input);
              observers.sync.done(activityType, input.args[0], result, performance.now() - startedAtMs);
              return result;
            } catch (error) {
              const failure = fromFailure(error);
              if (failure !== undefined) noteFailure(observers, what, input.args[0], failure);
              throw error;
            }
          }),
      },
      outbound: { getLogAttributes: (attributes, next) => next({ ...attributes, ...traceFields() }) },
    };
  };
}

function noteFailure(
  { logger, sync, stores, now }: Observers,
  what: Attempt,
  input: unknown,
  error: AppError,
): void {
  const binlog = binlogOf(input, error);
  const failedStore = stores.storeAt(error.facts['location']);
  const cluster = textIn(input, 'cluster') || textIn(fieldOf(input, 'job'), 'cluster');
  const source = textIn(input, 'source');
  const failure: SyncFailure = {
    ...sync.placeOf(cluster, source, textIn(input, 'store') || (failedStore?.store ?? '')),
    phase: phaseOf(what.activityType) ?? 'other',
    errorCode: error.code,
    retryCount: what.attempt - 1 + earlierTries(input),
    binlogIndex: binlog === null || !isBinlogName(binlog) ? null : binlogIndex(binlog),
  };
  if (phaseOf(what.activityType) !== undefined) syncFailed(failure, now());
  logger[error.kind === 'unavailable' ? 'warn' : 'error'](
    {
      event: 'step-failed',
      error_code: error.code,
      retry_count: failure.retryCount,
      provider: failure.provider,
      binlog_index: failure.binlogIndex,
      binlog,
      cluster,
      source,
      store: failure.store,
      phase: failure.phase,
      step: what.activityType,
      workflow_id: what.workflowId,
      run_id: what.runId,
    },
    error.message,
  );
}

/** The binlog that an error or an activity's input is about; null for none. */
function binlogOf(input: unknown, { facts }: AppError): string | null {
  const named = facts[REFUSED_BINLOG] ?? facts['binlog'];
  if (typeof named === 'string') return named;
  const holders = ['log', 'planned', 'letter', 'refusal'].map((key) => fieldOf(input, key));
  const logs = [input, ...holders, ...holders.map((holder) => fieldOf(holder, 'log'))];
  return logs.map((log) => textIn(log, 'binlog')).find((name) => name !== '') ?? null;
}

/** A store that fails is tried again by the workflow: each try is an activity of its own, which is told of those before. */
function earlierTries(input: unknown): number {
  const tries = fieldOf(input, 'earlierTries' satisfies keyof StoreTry);
  return typeof tries === 'number' ? tries : 0;
}

function textIn(value: unknown, key: string): string {
  const found = fieldOf(value, key);
  return typeof found === 'string' ? found : '';
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}
