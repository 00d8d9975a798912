import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { type Logger, type LogLevel, serializeError } from '../telemetry/logger.ts';
import { traceOfRun } from '../telemetry/trace.ts';

/** Levels of Temporal's SDK as the process log has them. */
const LEVELS: Readonly<Record<string, LogLevel>> = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/** Warnings of the SDK about how each worker here is made: each polls for what its role does. */
const ALWAYS_SO: ReadonlySet<string> = new Set([
  'No workflows registered, not polling for workflow tasks',
  'No activities registered, not polling for activity tasks',
  'No Nexus services registered, not polling for Nexus tasks',
]);

/** The SDK writes these lines outside the work that they are about; the run that they name leads to its trace. */
function traceOf(runId: unknown): { readonly trace_id?: string } {
  return typeof runId === 'string' ? { trace_id: traceOfRun(runId).traceId } : {};
}

/**
 * Sends what the SDK and its native core log into the log of this process. To be called once,
 * before any worker or native connection; signals stay with the command line.
 */
export function installRuntime(logger: Logger): void {
  const sdk = new DefaultLogger('INFO', ({ level, message, meta }) => {
    const shown = ALWAYS_SO.has(message) ? 'debug' : (LEVELS[level] ?? 'info');
    const error = meta?.['error'];
    const temporal = error === undefined ? { ...meta } : { ...meta, error: serializeError(error) };
    logger[shown]({ ...traceOf(meta?.['runId']), temporal }, message);
  });
  Runtime.install({
    logger: sdk,
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} },
    },
  });
}
