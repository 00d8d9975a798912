import { faultPoint } from '../process/fault.ts';
import { removeIfThere } from '../process/files.ts';
import { type LogRef, stagedFiles } from './staging.ts';

/**
 * Removes a log's files from the staging folder once every store has it. The facts go first, for
 * they vouch for the sealed file; the log goes last, for it says that something was here. A crash
 * between leaves files of a log that the catalogs know, which `tidyStaging` removes.
 */
export async function releaseLog(stagingDir: string, log: LogRef): Promise<void> {
  const files = stagedFiles(stagingDir, log);
  await removeIfThere(files.facts);
  await removeIfThere(files.sealed);
  await removeIfThere(files.log);
  faultPoint('archive.released');
}
