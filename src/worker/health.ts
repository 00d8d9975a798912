import type { PitrailConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import { loadKeyFile } from '../envelope/keys.ts';
import type { Role } from './roles.ts';
import type { StoreUse } from './store-board.ts';

/** One thing that a worker needs, and whether it has it. */
export interface HealthCheck {
  /** `temporal`, `queue host.local`, `key shop`, `store shop/main`. */
  readonly name: string;
  /** `unused`: not tried yet by this process, so nothing speaks against it. */
  readonly status: 'ok' | 'unused' | 'failing';
  readonly reason: string;
}

export interface HealthReport {
  readonly status: 'ready' | 'not-ready';
  /** What is failing, in words; empty where the worker is ready. */
  readonly reasons: readonly string[];
  readonly checks: readonly HealthCheck[];
}

/** Joins checks into the answer for whoever asks whether the worker can work. Pure. */
export function judgeHealth(checks: readonly HealthCheck[]): HealthReport {
  const failing = checks.filter(({ status }) => status === 'failing');
  return {
    status: failing.length === 0 ? 'ready' : 'not-ready',
    reasons: failing.map(({ name, reason }) => `${name}: ${reason}`),
    checks,
  };
}

/** Whether the key of every cluster can be loaded; asked of workers that seal or open, and of no others. */
export async function checkKeys(config: PitrailConfig, roles: readonly Role[]): Promise<HealthCheck[]> {
  if (roles.every(({ kind }) => kind === 'control')) return [];
  return Promise.all(
    config.clusters.map(async ({ name, encryption }): Promise<HealthCheck> => {
      const check = `key ${name}`;
      if (encryption.kind === 'none') return { name: check, status: 'ok', reason: 'encryption is off' };
      try {
        await loadKeyFile(encryption.keyFile);
        return { name: check, status: 'ok', reason: 'it can be loaded' };
      } catch (error) {
        if (error instanceof AppError) return { name: check, status: 'failing', reason: error.message };
        throw error;
      }
    }),
  );
}

/** How the stores answered this process. Pure. */
export function checkStoreUses(uses: readonly StoreUse[]): HealthCheck[] {
  return uses.map(({ cluster, store, lastSuccessMs, failing }): HealthCheck => {
    const name = `store ${cluster}/${store}`;
    const last = lastSuccessMs === null ? 'it never answered' : `last answer ${isoTime(lastSuccessMs)}`;
    if (failing !== null) {
      const reason = `failing since ${isoTime(failing.sinceMs)}, ${last}: ${failing.message}`;
      return { name, status: 'failing', reason };
    }
    if (lastSuccessMs === null) return { name, status: 'unused', reason: 'not asked yet by this process' };
    return { name, status: 'ok', reason: last };
  });
}

/** A queue is polled while its Temporal worker runs. Pure. */
export function checkQueue(taskQueue: string, state: string): HealthCheck {
  const name = `queue ${taskQueue}`;
  return state === 'RUNNING'
    ? { name, status: 'ok', reason: 'polled' }
    : { name, status: 'failing', reason: `not polled: its worker is ${state.toLowerCase()}` };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
