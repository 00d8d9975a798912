import type { S3Client } from '@aws-sdk/client-s3';
import { currentTrace, tracedAgent, traceHeaders } from '../../telemetry/trace.ts';

/**
 * Has every request carry the trace of the work that sends it: as the header `traceparent` for proxies
 * and servers that know it, and in the user agent, which is what the access logs of S3 keep. Added
 * behind the signature: a proxy may change these headers without breaking the request.
 */
export function traceRequests(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args as { readonly request: { readonly headers: Record<string, string> } };
      if (currentTrace() !== undefined) {
        Object.assign(request.headers, traceHeaders());
        request.headers['user-agent'] = tracedAgent(request.headers['user-agent'] ?? 'pitrail');
      }
      return next(args);
    },
    { name: 'pitrailTrace', step: 'finalizeRequest', priority: 'low' },
  );
}
