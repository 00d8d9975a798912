/** Signals, queries and updates by name; payloads are checked with their contract before they are used. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ArchiveNowResult, ArchiveStatus, DeadLetterDecision } from './contracts/archive.ts';
import type { BackupProgress } from './contracts/backup.ts';
import type { NoPayload } from './contracts/contract.ts';
import type { HandoffProgress } from './contracts/handoff.ts';
import type { RestoreToPointProgress } from './contracts/restore.ts';
import type { WatchStatus } from './contracts/watch.ts';

/** Stops archiving after the logs in flight; staged logs stay staged. */
export const pause = defineSignal<[NoPayload?]>('pause');
/** Goes on after `pause`. */
export const resume = defineSignal<[NoPayload?]>('resume');
/** Closes the open binlog, so that what it holds is archived now. */
export const rotateNow = defineSignal<[NoPayload?]>('rotateNow');
/** Tries a dead letter again, after its cause was mended. */
export const retryRefused = defineSignal<[DeadLetterDecision]>('retryRefused');
/** Accepts that a dead letter's transactions are lost; the gap is written down and archiving goes on after it. */
export const acceptGap = defineSignal<[DeadLetterDecision]>('acceptGap');

/** Asks anew in which epoch the source may be written, and whether at all; sent after a handoff. */
export const reclaim = defineSignal<[NoPayload?]>('reclaim');

/** How archiving of the source stands. */
export const status = defineQuery<ArchiveStatus>('status');

/** Archives everything that is closed as of now, and answers when that is done. */
export const archiveNow = defineUpdate<ArchiveNowResult, [NoPayload | undefined]>('archiveNow');

/** How far a backup is. */
export const backupProgress = defineQuery<BackupProgress>('progress');

/** How far a restore is; the bytes of the step that runs stand in its activity's heartbeat. */
export const restoreProgress = defineQuery<RestoreToPointProgress>('progress');

/** How far a handoff is, and what it waits for. */
export const handoffProgress = defineQuery<HandoffProgress>('progress');

/** Tells a watch that the archive was handed over, so that it looks who holds it now. */
export const handedOver = defineSignal<[NoPayload?]>('handedOver');

/** What a watch sees, and what it has done. */
export const watching = defineQuery<WatchStatus>('watching');
