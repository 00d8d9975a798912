import type { AppError } from '../src/domain/errors.ts';
import type { HandoffNote } from '../src/handoff/note-handoff.ts';
import type { HandoffProgress, HandoffResult } from './contracts/handoff.ts';

/** What the audit log keeps of a handoff that was made. */
export function noteOf(report: HandoffProgress, { detail, epoch, from }: HandoffResult): HandoffNote {
  const { cluster, to } = report.request;
  return {
    outcome: 'switched',
    cluster,
    from,
    to,
    epoch,
    missingGtids: '',
    detail,
    seconds: secondsOf(report),
  };
}

/** What the audit log keeps of one that was refused, or failed behind its boundary or before. */
export function noteOfFailure(report: HandoffProgress, error: AppError): HandoffNote {
  const { cluster, to } = report.request;
  const missing = ['lostGtids', 'gapGtids'].map((name) => String(error.facts[name] ?? ''));
  return {
    outcome: error.kind === 'refused' ? 'refused' : 'failed',
    cluster,
    from: report.from ?? '',
    to,
    epoch: report.epoch,
    missingGtids: missing.filter((gtids) => gtids !== '').join(','),
    detail: error.message,
    seconds: secondsOf(report),
  };
}

/** From the detection, where a watch has made one, to now. */
function secondsOf({ request, startedAt }: HandoffProgress): number {
  const { trigger } = request;
  const since = trigger.kind === 'watch' ? trigger.failingSince : startedAt;
  return Math.max(0, (Date.now() - Date.parse(since)) / 1000);
}
