import { AppError } from '../domain/errors.ts';
import type { MysqlSession } from '../mysql/session.ts';

/** MySQL: ER_SP_DOES_NOT_EXIST, ER_BAD_DB_ERROR, ER_PROCACCESS_DENIED_ERROR, ER_DBACCESS_DENIED_ERROR. */
const NO_PROCEDURE = new Set([1305, 1049, 1370, 1044]);

/**
 * Closes the open binlog: through the procedure `pitrail.rotate_binlog`, which needs no RELOAD, or by
 * FLUSH BINARY LOGS where the account may. @throws refused `RotationDenied`, unavailable
 */
export async function rotateBinlog(session: MysqlSession): Promise<void> {
  try {
    await session.run('CALL pitrail.rotate_binlog()');
  } catch (error) {
    if (!(error instanceof AppError) || !NO_PROCEDURE.has(Number(error.facts['errno']))) throw error;
    await flush(session);
  }
}

async function flush(session: MysqlSession): Promise<void> {
  try {
    await session.run('FLUSH BINARY LOGS');
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'MysqlAccessDenied') throw error;
    throw new AppError({
      code: 'RotationDenied',
      kind: 'refused',
      message: `MySQL at ${session.where} lets nobody rotate its binlog for pitrail, so what the open log holds is archived only when the server closes it.`,
      hint: 'As root: CREATE DATABASE IF NOT EXISTS pitrail; CREATE PROCEDURE pitrail.rotate_binlog() SQL SECURITY DEFINER FLUSH BINARY LOGS; then grant EXECUTE on it. Or set rotateSeconds: 0.',
      facts: { where: session.where },
      cause: error,
    });
  }
}
