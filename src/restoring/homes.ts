import { openRepositories } from '../archiving/repositories.ts';
import type { ClusterConfig } from '../config/types.ts';
import { FalloverReader } from './fallover.ts';
import { FalloverLog } from './fallover-log.ts';
import type { SegmentHome } from './segment-stream.ts';
import { foldersOf, type StoredPlan } from './work-folder.ts';

/** The stores that a restore may read from, in the order of the configuration. */
export interface RestoreHomes {
  /** Reads from any of them; what falls over is noted in the work folder. */
  readonly reader: FalloverReader;
  close(): Promise<void>;
}

/** Opens the stores of a planned restore. @throws config, refused where the key is absent or exposed */
export async function openHomes(cluster: ClusterConfig, stored: StoredPlan): Promise<RestoreHomes> {
  const repositories = await openRepositories(cluster);
  const usable = repositories.all
    .map(({ store }) => store)
    .filter(({ id }) => id === stored.job.store || stored.job.store === null);
  const { repositoryId } = stored.plan;
  const homes = usable.map((store): SegmentHome => ({ store, key: repositories.key, repositoryId }));
  const log = new FalloverLog(foldersOf(stored.job));
  return {
    reader: new FalloverReader(homes, (fallover) => log.add(fallover)),
    close: () => repositories.close(),
  };
}
