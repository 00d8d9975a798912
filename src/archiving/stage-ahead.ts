import type { RoundDecision, ServerView } from './decide-round.ts';
import { type LogRef, stagedStem } from './staging.ts';

/** How much may lie in the staging folder: links cost nothing, and what is read from a server takes its full length. */
export type StageAhead =
  | { readonly kind: 'unbounded' }
  | {
      readonly kind: 'bytes';
      /** Of all logs together. One log is staged always, however large. */
      readonly bytes: number;
    };

/**
 * Keeps a round within what may lie staged: the oldest logs first, which the server purges first. What is to be
 * archived in this round must lie there by then. Pure.
 */
export function withinStaging(
  decision: RoundDecision,
  servers: readonly ServerView[],
  ahead: StageAhead,
): RoundDecision {
  if (ahead.kind === 'unbounded') return decision;
  const stage = fitting(decision.stage, bytesStaged(servers), ahead.bytes);
  const missing = new Set(decision.stage.slice(stage.length).map(stagedStem));
  const cut = decision.archive.findIndex(({ log }) => missing.has(stagedStem(log)));
  return { ...decision, stage, archive: cut < 0 ? decision.archive : decision.archive.slice(0, cut) };
}

function bytesStaged(servers: readonly ServerView[]): number {
  return servers.flatMap(({ staged }) => staged).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function fitting(logs: readonly LogRef[], stagedBytes: number, maxBytes: number): readonly LogRef[] {
  let bytes = stagedBytes;
  const end = logs.findIndex(({ lengthBytes }) => {
    const isFirst = bytes === 0;
    bytes += lengthBytes;
    return bytes > maxBytes && !isFirst;
  });
  return end < 0 ? logs : logs.slice(0, end);
}
