import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import type { Logger, LogLevel } from '../telemetry/logger.ts';
import { traceOfRun } from '../telemetry/trace.ts';

/** Levels of Temporal's SDK as the process log has them. */
const LEVELS: Readonly<Record<string, LogLevel>> = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

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
    logger[LEVELS[level] ?? 'info']({ ...traceOf(meta?.['runId']), temporal: meta ?? {} }, message);
  });
  Runtime.install({
    logger: sdk,
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} },
    },
  });
}
