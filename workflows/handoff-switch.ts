import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ApplicationFailure,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import { AppError } from '../src/domain/errors.ts';
import { boundaryDetail } from '../src/domain/routing/handoff-words.ts';
import { isPassedOver } from '../src/domain/routing/store-failures.ts';
import type { HandoffName } from '../src/handoff/validation.ts';
import { describeFailure } from './archive-failures.ts';
import type { TakeBackupResult } from './contracts/backup.ts';
import { candidateHost, handoffStores } from './handoff-activities.ts';
import { type Decided, type HandOff, type HandoffRun, hostOf } from './handoff-run.ts';
import { handedOver, reclaim, rotateNow } from './messages.ts';
import { nowText } from './now.ts';

/** Where the boundary stands after it was written. */
export interface Locked {
  readonly written: readonly string[];
  readonly stoodIn: readonly string[];
  readonly later: readonly string[];
}

/**
 * Writes the boundary: a required store first, which fences the old writer; then the others. One that
 * goes away meanwhile gets it later, by `sync`.
 *
 * @throws conflict `BoundaryOutdated` where the old writer was faster, and it must be decided anew
 */
export async function lock(run: HandoffRun, { facts, plan }: Decided, handOff: HandOff): Promise<Locked> {
  const { cluster, to } = run.request;
  const { epoch, reason, write, standsIn, later } = handOff.boundary;
  const isRequired = (store: string) =>
    facts.stores.some((it) => it.store === store && it.policy === 'required');
  const inOrder = [...write].sort((a, b) => Number(isRequired(b.store)) - Number(isRequired(a.store)));
  const { reach } = facts.candidate;
  const executedGtids = reach.kind === 'reachable' ? reach.gtidExecuted : '';
  const detail = boundaryDetail(facts.current.source, to, reason, plan.detected);
  const done: Locked = { written: [], stoodIn: standsIn, later };
  return inOrder.reduce(async (before, { store, route }) => {
    const locked = await before;
    const isFenced = locked.written.length > 0 || standsIn.length > 0;
    const place = isFenced ? 'follows' : 'fences';
    const entry = { store, epoch, route, reason, detail, place, executedGtids } as const;
    try {
      await handoffStores().writeBoundary({ cluster, entry });
      return { ...locked, written: [...locked.written, store] };
    } catch (error) {
      if (!isFenced || isCancellation(error) || !isPassedOver(describeFailure(error))) throw error;
      return { ...locked, later: [...locked.later, store] };
    }
  }, Promise.resolve(done));
}

/** Starts archiving of the new source, closes its open log, and has both sources ask who may write. */
export async function switchOver({ request }: HandoffRun, from: string): Promise<void> {
  const { cluster, to } = request;
  const archiving = `archive/${cluster}/${to}`;
  try {
    await startChild('archiveSource', {
      workflowId: archiving,
      args: [{ cluster, source: to }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `Archives the binlogs of ${cluster}/${to}`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
  await tell(archiving, (handle) => handle.signal(reclaim, {}));
  await tell(archiving, (handle) => handle.signal(rotateNow, {}));
  if (from !== to) await tell(`archive/${cluster}/${from}`, (handle) => handle.signal(reclaim, {}));
  await tell(`watch/${cluster}`, (handle) => handle.signal(handedOver, {}));
}

/** The base backup of a new history. `missing`: its source cannot give one, and another server must. */
export type NewBase =
  | { readonly kind: 'not-needed' | 'stands' }
  | { readonly kind: 'taken'; readonly backupId: string }
  | { readonly kind: 'missing'; readonly why: string };

/**
 * Begins the new history with a base backup. The boundary stands, so one that cannot be taken stops nothing: what is
 * committed meanwhile is archived, and can be restored once there is one.
 */
export async function takeNewBase(run: HandoffRun, handoff: HandoffName): Promise<NewBase> {
  const { cluster, to, trigger } = run.request;
  const { readValidation } = candidateHost(hostOf(run, to), trigger.kind);
  if ((await readValidation({ cluster, source: to, handoff })).basesBehind > 0) return { kind: 'stands' };
  try {
    const { backupId } = await executeChild<
      (input: { cluster: string; source: string }) => Promise<TakeBackupResult>
    >('takeBackup', {
      workflowId: `backup/${cluster}/${nowText()}`,
      args: [{ cluster, source: to }],
      staticSummary: `Base backup of ${cluster}/${to}, which begins a history of its own`,
    });
    return { kind: 'taken', backupId };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const { message, hint } = describeFailure(error);
    return { kind: 'missing', why: hint === undefined ? message : `${message} ${hint}` };
  }
}

/** True where the old writer archived something between the snapshot and the boundary. */
export function isOutdated(error: unknown): boolean {
  return !isCancellation(error) && describeFailure(error).code === 'BoundaryOutdated';
}

/** Where nobody archives a source, nobody has to be told. */
async function tell(
  workflowId: string,
  signal: (handle: ReturnType<typeof getExternalWorkflowHandle>) => Promise<void>,
): Promise<void> {
  try {
    await signal(getExternalWorkflowHandle(workflowId));
  } catch (error) {
    if (error instanceof ApplicationFailure && error.type === 'ExternalWorkflowExecutionNotFound') return;
    throw error;
  }
}

/** A refusal of the whole handoff, with every reason. */
export function handoffRefused(
  run: HandoffRun,
  reasons: readonly string[],
  gtids: Readonly<Record<'lostGtids' | 'errantGtids' | 'gapGtids', string>>,
): AppError {
  const { cluster, to } = run.request;
  return new AppError({
    code: 'HandoffRefused',
    kind: 'refused',
    message: `${to} cannot go on with the archive of ${cluster}, so nothing was handed over: ${reasons.join(' ')}`,
    hint:
      gtids.lostGtids + gtids.errantGtids + gtids.gapGtids === ''
        ? 'Mend what is named, and try again.'
        : 'Choose another source, or begin a history of its own behind a new base backup: --policy resync.',
    facts: { cluster, from: run.report.from, to, reasons, ...gtids },
  });
}
