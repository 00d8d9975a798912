import type { HttpFaults } from './http-fault.ts';

/**
 * Watches the resumable uploads that pass a proxy: the server has no way to list them. Returns the
 * names of those that were begun and neither finished nor cancelled.
 */
export function openSessions(faults: HttpFaults): () => string[] {
  const open = new Map<string, string>();
  faults.watch = ({ method, query }, status, headers) => {
    const begun = new URL(headers.location ?? 'http://none/').searchParams.get('upload_id');
    if (begun !== null && status === 200) open.set(begun, query.get('name') ?? '');
    const continued = query.get('upload_id') ?? '';
    const ended = method === 'DELETE' || status === 200 || status === 201 || (status >= 400 && status < 500);
    if (ended) open.delete(continued);
  };
  return () => [...open.values()];
}
