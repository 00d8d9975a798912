import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError, assertNever } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { formatInstant } from '../domain/time.ts';
import { formatXid, nameXids } from '../domain/xid.ts';
import { readGtidExecuted } from '../mysql/facts.ts';
import { faultPoint } from '../process/fault.ts';
import { type Applier, leaveRunning, startApplier } from '../replay/applier.ts';
import { type HandedOver, handOver } from '../replay/hand-over.ts';
import type { RunningSettings } from '../replay/running-settings.ts';
import { compareXa } from '../replay/verify.ts';
import { applierFolders, applierOptions } from './applier-options.ts';
import { requireAccount } from './applier-session.ts';
import { auditRestore, wasHandedOver } from './audit-restore.ts';
import type { RestoreContext } from './context.ts';
import { type ClaimedFolder, releaseDataFolder } from './data-folder.ts';
import type { Afterwards, RestoreJob } from './job.ts';
import { secondsSince } from './plan-step.ts';
import { withRestoreLock } from './restore-lock.ts';
import type { VerifiedRestore } from './verify-step.ts';
import { foldersOf, readMark, readPlan, requireMark, requirePlan, writeMark } from './work-folder.ts';

/** What the user gets. */
export type RestoredServer =
  | { readonly kind: 'stopped' }
  /** On its socket only, as a child of nobody; accounts are those of the origin at the target. */
  | {
      readonly kind: 'running';
      readonly socket: string;
      readonly pid: number;
      readonly settings: RunningSettings;
    };

export interface HandedOverRestore {
  readonly server: RestoredServer;
  readonly handOverSeconds: number;
}

/**
 * Hands the restored server over: no replication, no account of ours, no tuning (or what is left of it,
 * named), stopped cleanly or left running; writes the audit record and removes the work folder. May be run again at any time, also after
 * it was complete.
 * @throws conflict `NotAsVerified`, `PreparedXaLost`, `NotAsStopped`, `SettingsPersisted`; unavailable
 */
export function handOverStep(context: RestoreContext, job: RestoreJob): Promise<HandedOverRestore> {
  return withRestoreLock(job.targetDir, async () => {
    const folder = foldersOf(job);
    if ((await readPlan(job)) === undefined && (await wasHandedOver(context.cluster, job))) {
      // Killed between the last line below and its answer: only a stopped server leaves no work folder.
      const stopped: HandedOverRestore = { server: { kind: 'stopped' }, handOverSeconds: 0 };
      return (await readMark<HandedOverRestore>(folder, 'handed-over')) ?? stopped;
    }
    const handed =
      (await readMark<HandedOverRestore>(folder, 'handed-over')) ??
      (await handOverAnew(context, job, folder));
    faultPoint('restore.handed-over');
    // Only now that nobody asks the server any more: started anew for its account, it could lose XA transactions.
    if (handed.server.kind === 'running') await leaveRunning(applierFolders(folder));
    await tidyUp(folder, handed.server);
    return handed;
  });
}

async function handOverAnew(
  context: RestoreContext,
  job: RestoreJob,
  folder: ClaimedFolder,
): Promise<HandedOverRestore> {
  const startedAt = performance.now();
  const stored = await requirePlan(job);
  const verified = await requireMark<VerifiedRestore>(folder, 'verified');
  const applier = await requireAccount(await startApplier(await applierOptions(context, stored, folder)));
  await assertSameGtids(verified, applier);
  const server = await handOver(applier, modeOf(job.afterwards));
  assertSameXa(verified, server);
  const ending = {
    outcome: 'handed-over',
    gtidExecuted: verified.gtidExecuted,
    detail: `Restored to ${job.target} in ${job.targetDir}.`,
  } as const;
  await auditRestore(context.cluster, stored, ending, formatInstant(context.now()));
  const handed = { server: restoredServer(server), handOverSeconds: secondsSince(startedAt) };
  await writeMark(folder, 'handed-over', handed);
  return handed;
}

function modeOf(afterwards: Afterwards): 'stopped' | 'running' {
  return afterwards === 'stop' ? 'stopped' : 'running';
}

function restoredServer(server: HandedOver): RestoredServer {
  switch (server.kind) {
    case 'stopped':
      return { kind: 'stopped' };
    case 'running':
      return { kind: 'running', socket: server.socket, pid: server.pid, settings: server.settings };
    default:
      return assertNever(server);
  }
}

/** Whatever happened to the server since the verification: it is handed over as it was verified, or not at all. */
async function assertSameGtids(verified: VerifiedRestore, applier: Applier): Promise<void> {
  const session = await applier.connect();
  try {
    const executed = GtidSet.parse(await readGtidExecuted(session));
    const wanted = GtidSet.parse(verified.gtidExecuted);
    if (executed.equals(wanted)) return;
    const facts = {
      missing: wanted.subtract(executed).toString(),
      extra: executed.subtract(wanted).toString(),
    };
    throw new AppError({
      code: 'NotAsVerified',
      kind: 'conflict',
      message: `The restored server changed after it was verified (missing: ${facts.missing || 'nothing'}; not planned: ${facts.extra || 'nothing'}), so it is not handed over.`,
      hint: 'Restore again; nothing but pitrail may work on the server before it is handed over.',
      facts,
    });
  } finally {
    await session.close();
  }
}

/** A server that ended between the verification and now may have lost some at its start. */
function assertSameXa(verified: VerifiedRestore, server: HandedOver): void {
  const { lost } = compareXa(verified.preparedXa, server.preparedXa);
  if (lost.length === 0) return;
  throw new AppError({
    code: 'PreparedXaLost',
    kind: 'conflict',
    message: `${lost.length} of ${verified.preparedXa.length} prepared XA transactions were lost when the server was started again (${nameXids(lost)}), though their GTIDs count as executed: this is not the state at the target.`,
    hint: 'Restore again, with --keep-running, and end them there before the server is stopped.',
    facts: { lost: lost.map(formatXid) },
  });
}

/**
 * A running server still uses its own folder in the work folder (socket, log, temporary files), and the
 * mark tells a later call where it runs; all else goes. The claim goes first: from then on nobody may
 * remove the data. The plan goes last: a crash in between leaves a folder that the same request cleans up.
 */
async function tidyUp(folder: ClaimedFolder, server: RestoredServer): Promise<void> {
  if (server.kind === 'stopped') return releaseDataFolder(folder);
  await rm(join(folder.workDir, 'claim.json'), { force: true });
  const keep = [basename(applierFolders(folder).workDir), 'handed-over.json', 'plan.json'];
  for (const name of await readdir(folder.workDir)) {
    if (!keep.includes(name)) await rm(join(folder.workDir, name), { recursive: true, force: true });
  }
  await rm(join(folder.workDir, 'plan.json'), { force: true });
}
