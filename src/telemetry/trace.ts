import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, randomBytes } from 'node:crypto';

/** Where in a trace this process is, in the words of W3C Trace Context. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
}

const current = new AsyncLocalStorage<TraceContext>();

/** The trace that the running work belongs to; undefined outside one. */
export function currentTrace(): TraceContext | undefined {
  return current.getStore();
}

/** Runs work, and all that it starts, as part of a trace. */
export function withTrace<T>(trace: TraceContext, work: () => T): T {
  return current.run(trace, work);
}

/**
 * The trace of a workflow run. Its id is the run id without hyphens, so that nothing need be carried
 * along: whoever has a log line, an audit record or a store's request log finds the run in Temporal's
 * web UI, and the other way round. A run id that is no UUID is digested.
 */
export function traceOfRun(runId: string): TraceContext {
  const digits = runId.replaceAll('-', '').toLowerCase();
  const digest = createHash('sha256').update(runId).digest('hex');
  const traceId = /^[0-9a-f]{32}$/.test(digits) && !/^0+$/.test(digits) ? digits : digest.slice(0, 32);
  return { traceId, spanId: digest.slice(32, 48) };
}

/** A fresh step of the same trace. */
export function stepOf(trace: TraceContext): TraceContext {
  return { traceId: trace.traceId, spanId: randomBytes(8).toString('hex') };
}

/** The header `traceparent` for the running work; none outside a trace. The trace is always sampled. */
export function traceHeaders(): Readonly<Record<string, string>> {
  const trace = current.getStore();
  return trace === undefined ? {} : { traceparent: `00-${trace.traceId}-${trace.spanId}-01` };
}

/** A user agent with the trace of the running work at its end, which is what the access logs of stores keep. */
export function tracedAgent(agent: string): string {
  const trace = current.getStore();
  return trace === undefined ? agent : `${agent} trace/${trace.traceId}`;
}

/** What every log line of the running work carries. */
export function traceFields(): Readonly<Record<string, string>> {
  const trace = current.getStore();
  return trace === undefined ? {} : { trace_id: trace.traceId, span_id: trace.spanId };
}
