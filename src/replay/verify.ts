import type { PreparedXa } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { readGtidExecuted, readPreparedXa } from '../mysql/facts.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { readChannel } from './channel.ts';

export interface Applied {
  readonly gtidExecuted: string;
  /** Part of the state at the target: XA transactions that were prepared and not ended there. */
  readonly preparedXa: readonly PreparedXa[];
}

/**
 * Proves that the server holds exactly the expected transactions, with nothing running that could change it.
 * @throws conflict, naming missing and unplanned GTIDs; bug where the channel still runs
 */
export async function verifyApplied(
  session: MysqlSession,
  channel: string,
  expected: GtidSet,
): Promise<Applied> {
  const { receiver, applier } = await readChannel(session, channel);
  if (receiver.state !== 'stopped' || applier.state !== 'stopped') {
    throw new AppError({
      code: 'ChannelStillRuns',
      kind: 'bug',
      message: `The replication channel still runs (receiver ${receiver.state}, applier ${applier.state}), so its state proves nothing.`,
    });
  }
  const executed = GtidSet.parse(await readGtidExecuted(session));
  const difference = describeDifference(executed, expected);
  if (difference !== null) throw notAsPlanned(difference);
  return { gtidExecuted: executed.toString(), preparedXa: await readPreparedXa(session) };
}

interface Difference {
  readonly missing: GtidSet;
  readonly extra: GtidSet;
}

function describeDifference(executed: GtidSet, expected: GtidSet): Difference | null {
  if (executed.equals(expected)) return null;
  return { missing: expected.subtract(executed), extra: executed.subtract(expected) };
}

function notAsPlanned({ missing, extra }: Difference): AppError {
  const parts = [
    missing.isEmpty ? '' : `missing: ${missing}`,
    extra.isEmpty ? '' : `not planned: ${extra}`,
  ].filter((part) => part !== '');
  return new AppError({
    code: 'NotAsPlanned',
    kind: 'conflict',
    message: `The restored server is not in the planned state (${parts.join('; ')}); it is not handed over.`,
    hint: 'Run the restore again on this folder to apply what is missing, or into an empty one.',
    facts: { missing: missing.toString(), extra: extra.toString() },
  });
}

/** What became of prepared XA transactions between two looks. */
export interface XaDifference {
  readonly lost: readonly PreparedXa[];
  readonly appeared: readonly PreparedXa[];
}

function xaKey(xa: PreparedXa): string {
  return `${xa.formatId}/${xa.gtridLength}/${xa.bqualLength}/${xa.dataHex}`;
}

/** Compares two lists of prepared XA transactions, in any order. */
export function compareXa(before: readonly PreparedXa[], after: readonly PreparedXa[]): XaDifference {
  const had = new Set(before.map(xaKey));
  const has = new Set(after.map(xaKey));
  return {
    lost: before.filter((xa) => !has.has(xaKey(xa))),
    appeared: after.filter((xa) => !had.has(xaKey(xa))),
  };
}
