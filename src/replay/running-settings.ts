import type { PreparedXa } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { nameXids } from '../domain/xid.ts';
import { readGtidExecuted, readPreparedXa } from '../mysql/facts.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { readMemoryTablesWithRows } from '../mysql/table-engines.ts';
import { type Applier, restartPlain } from './applier.ts';
import { GLOBALS_PUT_BACK, PLAIN_SETTINGS, SETTINGS_LEFT } from './tuning.ts';
import { compareXa } from './verify.ts';

/**
 * Why a server is not started anew: `prepared-xa`, of several XIDs some can be lost at a start, whatever they
 * are, because MySQL compares them in no strict order; `memory-tables`, their rows are gone after a stop.
 */
export type KeptBecause = 'prepared-xa' | 'memory-tables';

/** A setting that was chosen for the server; it has MySQL's own in all others. */
export interface ChosenSetting {
  readonly name: string;
  readonly value: string;
}

/** How a server runs that is handed over. */
export type RunningSettings =
  /** As MySQL runs by itself, but for what keeps it apart until its user decides. */
  | { readonly kind: 'plain'; readonly chosen: readonly ChosenSetting[] }
  /** Some settings of the replay cannot be changed while it runs, and it must not be started anew. */
  | {
      readonly kind: 'of-the-replay';
      readonly because: readonly KeptBecause[];
      readonly chosen: readonly ChosenSetting[];
    };

/**
 * Gives a server that is to run on the settings which it has without the replay: by starting it anew, where
 * nothing of the state at the target would be lost by that, else as far as a running server can change them.
 * Its account stays. @throws conflict `NotAsStopped` where the start changed anything; what starting throws
 */
export async function settleRunning(
  applier: Applier,
  preparedXa: readonly PreparedXa[],
): Promise<{ readonly server: Applier['server']; readonly settings: RunningSettings }> {
  const before = await withSession(applier, async (session) => ({
    gtids: GtidSet.parse(await readGtidExecuted(session)),
    because: await reasonsToKeep(session, preparedXa),
  }));
  if (before.because.length > 0) {
    const chosen = await withSession(applier, async (session) => {
      await putSettingsBack(session);
      return readSettings(session, SETTINGS_LEFT);
    });
    return { server: applier.server, settings: { kind: 'of-the-replay', because: before.because, chosen } };
  }
  const plain = await restartPlain(applier);
  const chosen = await withSession(plain, async (session) => {
    await requireSame(session, before.gtids, preparedXa);
    return readSettings(session, PLAIN_SETTINGS);
  });
  return { server: plain.server, settings: { kind: 'plain', chosen } };
}

/** One XID alone has nothing that it could be taken for. */
async function reasonsToKeep(
  session: MysqlSession,
  preparedXa: readonly PreparedXa[],
): Promise<KeptBecause[]> {
  const memoryTables = await readMemoryTablesWithRows(session);
  return [
    ...(preparedXa.length > 1 ? (['prepared-xa'] as const) : []),
    ...(memoryTables.length > 0 ? (['memory-tables'] as const) : []),
  ];
}

async function putSettingsBack(session: MysqlSession): Promise<void> {
  for (const [name, value] of GLOBALS_PUT_BACK) await session.run(`SET GLOBAL ${name} = ${value}`);
}

async function readSettings(session: MysqlSession, names: readonly string[]): Promise<ChosenSetting[]> {
  const rows = await session.query<{ Variable_name: string; Value: string }>('SHOW GLOBAL VARIABLES');
  return rows
    .filter(({ Variable_name: name }) => names.includes(name))
    .map(({ Variable_name: name, Value: value }) => ({ name, value }));
}

async function requireSame(
  session: MysqlSession,
  gtids: GtidSet,
  preparedXa: readonly PreparedXa[],
): Promise<void> {
  const now = GtidSet.parse(await readGtidExecuted(session));
  const { lost, appeared } = compareXa(preparedXa, await readPreparedXa(session));
  if (now.equals(gtids) && lost.length === 0 && appeared.length === 0) return;
  const what = now.equals(gtids)
    ? `prepared XA transactions differ (lost: ${nameXids(lost) || 'none'}; new: ${nameXids(appeared) || 'none'})`
    : `gtid_executed was ${gtids} and is ${now}`;
  throw new AppError({
    code: 'NotAsStopped',
    kind: 'conflict',
    message: `The restored server changed when it was started with plain settings: ${what}. It is not handed over.`,
    hint: 'Restore again; nothing but pitrail may work on the server before it is handed over.',
    facts: { before: gtids.toString(), now: now.toString() },
  });
}

async function withSession<T>(applier: Applier, use: (session: MysqlSession) => Promise<T>): Promise<T> {
  const session = await applier.connect();
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}
