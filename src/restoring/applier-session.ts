import { AppError } from '../domain/errors.ts';
import { type Applier, startApplier } from '../replay/applier.ts';

/**
 * An applier that lets the replay's account in. A hand-over that was cut short has dropped the account
 * of a server that still runs; it is then stopped cleanly and started again, which makes it anew.
 * @throws what connecting and starting throw
 */
export async function requireAccount(applier: Applier): Promise<Applier> {
  try {
    await (await applier.connect()).close();
    return applier;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'MysqlAccessDenied') throw error;
    await applier.server.stop();
    return startApplier(applier.options);
  }
}
