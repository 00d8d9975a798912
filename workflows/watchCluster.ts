import {
  CancellationScope,
  condition,
  isCancellation,
  makeContinueAsNewFunc,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { HandoffSettings } from '../activities/handoff.ts';
import { newlyWatched } from '../src/domain/routing/watch.ts';
import type { ArchiveStanding } from '../src/handoff/manifests.ts';
import { describeFailure } from './archive-failures.ts';
import {
  WATCH_CARRY,
  WATCH_CLUSTER,
  type WatchCarry,
  type WatchClusterInput,
  type WatchStatus,
} from './contracts/watch.ts';
import { decode } from './decode.ts';
import { handoffControl, handoffStores } from './handoff-activities.ts';
import { handedOver, watching } from './messages.ts';
import { handOverToFallback } from './watch-handoff.ts';
import { lookAfter } from './watch-look.ts';
import type { Watch } from './watch-state.ts';

/** A run ends after so many watches, whatever the server suggests. */
const MAX_WATCHES = 200;
/** Until the next try where no fallback could take over, or the catalogs cannot be read. */
const PAUSE = '10 seconds';

/**
 * Watches the source that holds the archive of a cluster, and hands the archive to a fallback where that
 * fails. Id `watch/{cluster}`. Ends where pitrail.yaml names no fallback any more.
 */
export async function watchCluster(input: WatchClusterInput, carried?: WatchCarry): Promise<void> {
  const request = decode(WATCH_CLUSTER, input);
  const carry =
    carried === undefined ? { known: newlyWatched(null), lastHandoffs: [] } : decode(WATCH_CARRY, carried);
  const watch: Watch = {
    input: request,
    status: { ...request, ...carry, source: null, phase: 'starting', trouble: null },
    moved: false,
  };
  setHandler(watching, () => watch.status);
  setHandler(handedOver, () => {
    watch.moved = true;
  });
  for (let watches = 0; watches < MAX_WATCHES && !workflowInfo().continueAsNewSuggested; watches += 1) {
    const goesOn = await watchOnce(watch);
    if (!goesOn) return;
  }
  const { known, lastHandoffs } = watch.status;
  await makeContinueAsNewFunc<typeof watchCluster>()(request, { known, lastHandoffs });
}

/** Returns whether there is anything to watch at all. What the watch cannot see or do, it tries again. */
async function watchOnce(watch: Watch): Promise<boolean> {
  try {
    const { cluster } = watch.input;
    const settings = await handoffControl().handoffSettings({ cluster, source: null });
    if (settings.fallbacks.length === 0) return false;
    watch.moved = false;
    const standing = await handoffStores().readStanding({ cluster, from: null, to: null });
    await watchHolder(watch, settings, standing);
  } catch (error) {
    if (isCancellation(error)) throw error;
    watch.status.trouble = describeFailure(error).message;
    await pause(watch);
  }
  return true;
}

async function watchHolder(
  watch: Watch,
  settings: HandoffSettings,
  standing: ArchiveStanding,
): Promise<void> {
  const { source, serverUuid } = standing.from;
  const { known } = watch.status;
  watch.status.known =
    known.serverUuid === serverUuid ? known : newlyWatched(serverUuid, known.lagHandoffsMs);
  watch.status.source = source;
  show(watch, 'watching');
  const failing = await untilMoved(watch, () => lookAfter(watch, settings, source));
  watch.status.trouble = null;
  if (failing === null) return;
  show(watch, 'handing-over');
  if (!(await handOverToFallback(watch, settings, standing, failing))) await pause(watch);
}

/** Looks until somebody hands the archive over meanwhile: then it is another source that is to be watched. */
async function untilMoved<T>(watch: Watch, look: () => Promise<T | null>): Promise<T | null> {
  const scope = new CancellationScope();
  const looking = scope.run(look);
  const moved = condition(() => watch.moved).then(() => null);
  try {
    return await Promise.race([looking, moved]);
  } finally {
    scope.cancel();
    await looking.catch((error: unknown) => {
      if (!isCancellation(error)) throw error;
    });
  }
}

async function pause(watch: Watch): Promise<void> {
  show(watch, 'waiting');
  await condition(() => watch.moved, PAUSE);
}

function show({ status }: Watch, phase: WatchStatus['phase']): void {
  status.phase = phase;
  const last = status.lastHandoffs.at(-1);
  setCurrentDetails(
    [
      `**${status.cluster}**: ${phase} \`${status.source ?? 'nobody yet'}\``,
      ...(status.trouble === null ? [] : [`**trouble**: ${status.trouble}`]),
      ...(last === undefined ? [] : [`last handoff at ${last.at} to \`${last.to}\`: ${last.detail}`]),
    ].join('\n\n'),
  );
}
