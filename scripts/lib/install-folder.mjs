import { rename, rm } from 'node:fs/promises';

/**
 * Renames a finished folder into its place. A folder that has its final name is complete, so readers need no lock;
 * a crash before the rename leaves a `making-…` folder that nobody reads.
 */
export async function installFolder(work, place) {
  try {
    await rename(work, place);
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    // One stands there that the search did not accept (a damaged copy): ours was just tried.
    const old = `${work}.old`;
    await rename(place, old);
    await rename(work, place);
    await rm(old, { recursive: true, force: true });
  }
}
