import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PreparedXa } from '../domain/catalog-entry.ts';
import { AppError, assertNever } from '../domain/errors.ts';
import { formatXid, nameXids } from '../domain/xid.ts';
import { readPreparedXa } from '../mysql/facts.ts';
import {
  type Applier,
  dropApplierAccount,
  flushCommitted,
  removeApplierFiles,
  startApplier,
} from './applier.ts';
import { listChannels, removeChannel } from './channel.ts';
import { type RunningSettings, settleRunning } from './running-settings.ts';
import { compareXa } from './verify.ts';

/** What is handed over: a stopped data folder, or a server that runs, on its socket only. */
export type HandOverMode = 'stopped' | 'running';

export type HandedOver =
  | { readonly kind: 'stopped'; readonly dataDir: string; readonly preparedXa: readonly PreparedXa[] }
  | {
      readonly kind: 'running';
      readonly dataDir: string;
      readonly socket: string;
      readonly pid: number;
      readonly settings: RunningSettings;
      readonly preparedXa: readonly PreparedXa[];
    };

/**
 * Ends the replay: removes every channel with its relay logs and stops the server cleanly, without the
 * replay's account and files; or lets it run, with plain settings where that is possible, and with the
 * account, so that a crash can be followed by another call: `leaveRunning` drops it in the end. Nothing of
 * it is binlogged or takes a GTID. Where XA transactions are prepared, a stopped folder is started once
 * more to see that it still has them.
 * A crash in between is followed by another call, after `startApplier`.
 * @throws conflict where prepared XA transactions did not survive the stop, or settings were persisted
 */
export async function handOver(applier: Applier, mode: HandOverMode): Promise<HandedOver> {
  const session = await applier.connect();
  let preparedXa: readonly PreparedXa[];
  try {
    for (const channel of await listChannels(session)) await removeChannel(session, channel);
    preparedXa = await readPreparedXa(session);
    if (mode === 'stopped' && preparedXa.length === 0) await dropApplierAccount(session);
    await flushCommitted(session);
  } finally {
    await session.close();
  }
  const { dataDir } = applier.options;
  await requireNothingPersisted(applier);
  switch (mode) {
    case 'running': {
      const { server, settings } = await settleRunning(applier, preparedXa);
      const { socket, pid } = server;
      return { kind: 'running', dataDir, socket, pid, settings, preparedXa };
    }
    case 'stopped':
      await applier.server.stop();
      if (preparedXa.length > 0) await requireXaSurvived(applier, preparedXa);
      await removeApplierFiles(applier.options);
      return { kind: 'stopped', dataDir, preparedXa };
    default:
      return assertNever(mode);
  }
}

/** SET PERSIST would make a setting of the replay outlive it. */
async function requireNothingPersisted(applier: Applier): Promise<void> {
  const { dataDir } = applier.options;
  const path = join(dataDir, 'mysqld-auto.cnf');
  const written = await modifiedMs(path);
  const started = await modifiedMs(join(dataDir, 'auto.cnf'));
  if (written === null || (started !== null && written < started)) return;
  throw new AppError({
    code: 'SettingsPersisted',
    kind: 'conflict',
    message: `${path} was written during the replay, so settings of the replay would outlive it; the folder is not handed over.`,
    hint: 'Nothing but pitrail may work on the server while it replays. Restore again into an empty folder.',
    facts: { path },
  });
}

async function modifiedMs(path: string): Promise<number | null> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** The server loses prepared XA transactions of mixed formatIDs at any start: only a start shows it. */
async function requireXaSurvived(applier: Applier, before: readonly PreparedXa[]): Promise<void> {
  const again = await startApplier(applier.options);
  const session = await again.connect();
  let after: readonly PreparedXa[];
  try {
    after = await readPreparedXa(session);
    await dropApplierAccount(session);
    await flushCommitted(session);
  } finally {
    await session.close();
  }
  await again.server.stop();
  const { lost, appeared } = compareXa(before, after);
  if (lost.length === 0 && appeared.length === 0) return;
  throw new AppError({
    code: 'PreparedXaLost',
    kind: 'conflict',
    message: `${lost.length} of ${before.length} prepared XA transactions did not survive a restart of the server (${nameXids(lost)}), though their GTIDs count as executed: the stopped folder is not the state at the target.`,
    hint: 'Restore again with --keep-running and end them there (XA RECOVER, XA COMMIT or XA ROLLBACK) before the server is stopped.',
    facts: { lost: lost.map(formatXid), appeared: appeared.map(formatXid) },
  });
}
