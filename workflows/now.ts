/** The workflow's own time (of its present task, so that replay sees the same), RFC 3339. */
export function nowText(): string {
  return new Date().toISOString();
}
