import { GtidSet } from '../domain/gtid-set.ts';
import { readGtidExecuted, readPreparedXa } from '../mysql/facts.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { readNonTransactionalTables } from '../mysql/table-engines.ts';
import type { Applier } from '../replay/applier.ts';
import type { CutJudge } from '../replay/replay-to.ts';
import { compareXa } from '../replay/verify.ts';
import type { RestoreContext } from './context.ts';
import { type CutLoss, cutShort, goOn } from './cuts.ts';
import type { ClaimedFolder } from './data-folder.ts';
import type { RestoreHomes } from './homes.ts';
import { expectedPreparedXa } from './prepared-xa.ts';
import type { StoredPlan } from './work-folder.ts';

/** True where statements with temporary tables are replayed. */
export function holdsTemporaryTables({ plan }: StoredPlan): boolean {
  return plan.verdict.reasons.some(({ code }) => code === 'temporary-tables');
}

/** Decides where a replay was cut whether it goes on, or must begin anew from the base: then it throws. */
export function cutJudge(
  context: RestoreContext,
  stored: StoredPlan,
  folder: ClaimedFolder,
  homes: RestoreHomes,
): CutJudge {
  const stopIfHalfApplied = async (session: MysqlSession): Promise<void> => {
    const loss = await findHalfApplied(session);
    if (loss !== null) throw await cutShort(folder, loss);
  };
  return {
    async serverEnded(applier: Applier) {
      const session = await applier.connect();
      try {
        const loss = await findLoss(session, context, stored, homes);
        if (loss !== null) throw await cutShort(folder, loss);
      } finally {
        await session.close();
      }
      await goOn(folder);
    },
    async sourceEnded(applier: Applier) {
      const session = await applier.connect();
      try {
        await stopIfHalfApplied(session);
      } finally {
        await session.close();
      }
    },
    channelStopped: stopIfHalfApplied,
  };
}

async function findLoss(
  session: MysqlSession,
  context: RestoreContext,
  stored: StoredPlan,
  homes: RestoreHomes,
): Promise<CutLoss | null> {
  if (holdsTemporaryTables(stored)) return { kind: 'temporary-tables' };
  const halfApplied = await findHalfApplied(session);
  if (halfApplied !== null) return halfApplied;
  const executed = GtidSet.parse(await readGtidExecuted(session));
  const expected = await expectedPreparedXa(homes, stored, executed, 'everywhere', context.signal);
  const { lost, appeared } = compareXa(expected, await readPreparedXa(session));
  return lost.length > 0 || appeared.length > 0 ? { kind: 'prepared-xa', lost, appeared } : null;
}

/** A table that was dropped or converted before the cut is whole or gone; only one that is there can be half changed. */
async function findHalfApplied(session: MysqlSession): Promise<CutLoss | null> {
  const tables = await readNonTransactionalTables(session);
  if (tables.length === 0) return null;
  return {
    kind: 'non-transactional-tables',
    tables: tables.map(({ schema, table, engine }) => `${schema}.${table} (${engine})`),
  };
}
