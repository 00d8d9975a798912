import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { formatListen, type ListenAddress } from '../config/listen.ts';
import { isLoopback } from '../config/transport.ts';
import type { PitrailConfig } from '../config/types.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { HealthSubjects } from './health-pages.ts';
import { observeActivities } from './observe-activities.ts';
import { StoreBoard } from './store-board.ts';
import { SyncWatch } from './sync-watch.ts';

/** What watches a worker from inside the process. */
export interface Observation {
  readonly interceptor: ActivityInterceptorsFactory;
  /** Begins to serve what was seen; null where nobody asked for it. @throws unavailable `ListenFailed` */
  serve(subjects: Omit<HealthSubjects, 'stores' | 'exposition'>): Promise<ListenAddress | null>;
  close(): Promise<void>;
}

/**
 * Begins to watch activities and stores. The metrics SDK and the server are loaded only where somebody
 * listens. @throws config `MetricsTaken`
 */
export async function startObserving(
  config: PitrailConfig,
  logger: Logger,
  listen: ListenAddress | null,
): Promise<Observation> {
  const exposition = listen === null ? null : (await import('../telemetry/exposition.ts')).startExposition();
  const now = () => Date.now();
  const stores = new StoreBoard(config, now);
  const sync = new SyncWatch(config, now);
  const closers: (() => Promise<void>)[] = [];
  if (exposition !== null) closers.push(() => exposition.stop());
  return {
    interceptor: observeActivities({ logger, sync, stores, now }),
    async serve(subjects) {
      if (listen === null || exposition === null) return null;
      const [{ serveEndpoint }, { healthPages }] = await Promise.all([
        import('./endpoint.ts'),
        import('./health-pages.ts'),
      ]);
      const endpoint = await serveEndpoint(listen, healthPages({ ...subjects, stores, exposition }));
      closers.unshift(() => endpoint.close());
      sayWhoMayAsk(endpoint.address, logger);
      return endpoint.address;
    },
    async close() {
      for (const close of closers) await close();
    },
  };
}

function sayWhoMayAsk(address: ListenAddress, logger: Logger): void {
  if (isLoopback(address.host)) return;
  logger.warn(
    { event: 'endpoint-open', listen: formatListen(address) },
    'Metrics and health are served without a password to everyone who can reach this address.',
  );
}
