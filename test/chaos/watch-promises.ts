import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { ChaosWorld } from './chaos-world.ts';
import { binlogsIn } from './held.ts';
import type { Invariant } from './scenario.ts';

export interface PromiseWatch {
  /** Ends it. @throws what a look threw */
  stop(): Promise<Invariant>;
}

/**
 * Compares what the archive says of the primary, again and again, with what a required store holds: it must not
 * call a log archived that is not there. It says so first, and the store is read afterwards.
 */
export function watchPromises(world: ChaosWorld, store: ObjectStore): PromiseWatch {
  const early = new Set<string>();
  let [looks, first, last] = [0, -1, -1];
  let goesOn = true;
  const look = async (): Promise<void> => {
    const { archivedThrough, segmentsArchived } = await world.status();
    const held = await binlogsIn(store);
    looks += 1;
    last = segmentsArchived;
    if (first === -1) first = segmentsArchived;
    const named = archivedThrough?.binlog ?? '';
    if (named !== '' && !held.includes(named)) early.add(named);
    if (segmentsArchived > held.length) early.add(`${segmentsArchived} logs, where it held ${held.length}`);
  };
  const looking = (async () => {
    while (goesOn) {
      await look();
      await sleep(200);
    }
  })();
  // Nobody waits for it before the end.
  looking.catch(() => undefined);
  return {
    async stop() {
      goesOn = false;
      await looking;
      return {
        name: `nothing is called archived before ${store.id} has it`,
        ok: early.size === 0 && looks > 5 && last > first,
        detail:
          early.size === 0
            ? `${looks} looks, from ${first} to ${last} archived logs`
            : `too early: ${[...early].join(', ')}`,
      };
    },
  };
}
