import { printShort } from './archive-line.ts';
import { assertNever } from './errors.ts';
import { GtidSet } from './gtid-set.ts';
import type { PlanReason } from './restore-plan.ts';

function short(gtids: string): string {
  return printShort(GtidSet.parse(gtids));
}

/** Refusals that the target itself causes. */
type TargetReason = Extract<
  PlanReason,
  {
    code:
      | 'after-end-of-archive'
      | 'unknown-gtid'
      | 'ambiguous-gtid'
      | 'unknown-binlog'
      | 'ambiguous-binlog'
      | 'inside-transaction'
      | 'among-repeated'
      | 'no-commit-times'
      | 'nothing-archived';
  }
>;

function explainTarget(reason: TargetReason): string {
  switch (reason.code) {
    case 'after-end-of-archive':
      return `The target lies behind the end of the archive (${reason.nearest}), so what belongs to it is not all known; the nearest target is ${reason.nearestTarget}.`;
    case 'unknown-gtid': {
      const nearest = reason.nearestTarget === null ? '' : `; the nearest target is ${reason.nearestTarget}`;
      return `No archived binlog of this timeline holds ${reason.gtid}, so nothing can stop beside it${nearest}.`;
    }
    case 'ambiguous-gtid':
      return `${reason.gtid} stands in ${reason.binlogs.join(' and ')}, so it names no single place: choose one by file:SERVER_UUID/BINLOG:OFFSET.`;
    case 'unknown-binlog':
      return `${reason.binlog} is not archived on this timeline, so no offset in it can be reached.`;
    case 'ambiguous-binlog':
      return `${reason.binlog} was written by several servers: name one as ${reason.serverUuids.map((uuid) => `file:${uuid}/${reason.binlog}:OFFSET`).join(' or ')}.`;
    case 'inside-transaction':
      return `The offset lies inside the transaction ${reason.gtid}, which cannot be applied in part; the nearest target is ${reason.nearestTarget}${reason.nearestTarget.startsWith('before:') ? `, or after:${reason.gtid}` : ''}.`;
    case 'among-repeated': {
      const nearest =
        reason.nearestTarget === null
          ? 'use before:, after: or a time'
          : `the nearest target is ${reason.nearestTarget}`;
      return `At this offset of ${reason.binlog} its server did not have all that another one had logged before, so no state of the commit order ends there; ${nearest}.`;
    }
    case 'no-commit-times':
      return `${reason.binlog} carries no commit times in microseconds, so a time in it or behind it has no exact place: use before:, after: or file:.`;
    case 'nothing-archived':
      return reason.timeline === null
        ? 'The repository holds no archived binlog, so there is nothing to restore to.'
        : `Timeline ${reason.timeline} holds no archived transaction, so there is nothing to restore to.`;
    default:
      return assertNever(reason);
  }
}

/** Says a reason in one sentence, for people. */
export function explainReason(reason: PlanReason): string {
  switch (reason.code) {
    case 'base-chosen':
      return `The base backup ${reason.backupId}, finished at ${reason.finishedAt}, is the newest that holds nothing behind the target.`;
    case 'no-base':
      return reason.oldestBackup === null
        ? 'The repository holds no base backup, so no restore can start: run `pitrail backup`.'
        : `No base backup lies on this timeline (${reason.oldestBackup} lies on another), so no restore can start on it: run \`pitrail backup\`, or choose another timeline.`;
    case 'before-oldest-backup': {
      const nearest =
        reason.nearestTarget === null ? '' : `; the earliest target it gives is ${reason.nearestTarget}`;
      return `Every base backup of this timeline holds transactions behind the target, or was finished after it, also the oldest: ${reason.backupId}, finished at ${reason.finishedAt}${nearest}.`;
    }
    case 'missing-transactions':
      return `The target needs transactions that no base backup and no archived binlog holds: ${short(reason.gtids)}.`;
    case 'blocked-transactions':
      return `These transactions can only be applied behind others that no readable binlog holds: ${short(reason.gtids)}.`;
    case 'other-logs':
      return reason.because === 'cheaper'
        ? `Transactions come from ${reason.binlogs} binlogs of several servers, because less is to be fetched so.`
        : `Transactions come from ${reason.binlogs} binlogs of several servers, because the first ones that held them are not all there.`;
    case 'anonymous-transactions':
      return `${reason.binlog} holds ${reason.count} transactions without a GTID between base and target, which cannot be placed exactly: only a base backup taken after them leads on.`;
    case 'clock-inversions':
      return `The server's clock stepped back ${reason.count} times in these binlogs; the target is a prefix of the commit order, not of the times.`;
    case 'temporary-tables':
      return `${reason.binlog} holds CREATE TEMPORARY TABLE: its statements are exact only when the file is replayed in one go, from a base before it.`;
    case 'skip-not-in-range':
      return `These transactions are not between the base and the target, so they cannot be left out: ${short(reason.gtids)}.`;
    case 'skips':
      return `Left out as asked: ${short(reason.gtids)}.`;
    default:
      return explainTarget(reason);
  }
}
