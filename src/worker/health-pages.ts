import type { NativeConnection } from '@temporalio/worker';
import type { PitrailConfig } from '../config/types.ts';
import { EXPOSITION_TYPE, type Exposition } from '../telemetry/exposition.ts';
import { type Answer, JSON_TYPE, type Pages } from './endpoint.ts';
import {
  checkKeys,
  checkQueue,
  checkStoreUses,
  type HealthCheck,
  type HealthReport,
  judgeHealth,
} from './health.ts';
import type { Role } from './roles.ts';
import type { StoreBoard } from './store-board.ts';

/** A queue of this process and the state of its Temporal worker. */
export interface PolledQueue {
  readonly taskQueue: string;
  state(): string;
}

export interface HealthSubjects {
  readonly config: PitrailConfig;
  readonly roles: readonly Role[];
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly queues: readonly PolledQueue[];
  readonly stores: StoreBoard;
  readonly exposition: Exposition;
}

const TEMPORAL_MS = 2_000;
/** Answers are this old at most: many who ask at once are no load for Temporal. */
const FRESH_MS = 1_000;

/** What the endpoint of a worker serves. */
export function healthPages(subjects: HealthSubjects): Pages {
  const ready = remembered(() => readiness(subjects));
  const startedMs = Date.now();
  return new Map<string, () => Promise<Answer>>([
    [
      '/metrics',
      async () => ({ status: 200, type: EXPOSITION_TYPE, body: await subjects.exposition.render() }),
    ],
    // That it answers is the proof: a process that hangs answers nobody.
    ['/health/live', async () => json(200, liveness(startedMs))],
    ['/health/ready', async () => answerOf(await ready())],
  ]);
}

function liveness(startedMs: number): unknown {
  const startedAt = new Date(startedMs).toISOString();
  const uptimeSeconds = Math.round((Date.now() - startedMs) / 1000);
  const rssBytes = process.memoryUsage.rss();
  return { status: 'live', reasons: [], pid: process.pid, startedAt, uptimeSeconds, rssBytes };
}

function answerOf(report: HealthReport): Answer {
  return json(report.status === 'ready' ? 200 : 503, report);
}

function json(status: Answer['status'], document: unknown): Answer {
  return { status, type: JSON_TYPE, body: `${JSON.stringify(document)}\n` };
}

async function readiness(subjects: HealthSubjects): Promise<HealthReport> {
  const { config, roles, queues, stores } = subjects;
  const [temporal, keys] = await Promise.all([checkTemporal(subjects), checkKeys(config, roles)]);
  const polled = queues.map(({ taskQueue, state }) => checkQueue(taskQueue, state()));
  return judgeHealth([temporal, ...polled, ...keys, ...checkStoreUses(stores.uses())]);
}

async function checkTemporal({ connection, namespace }: HealthSubjects): Promise<HealthCheck> {
  const name = 'temporal';
  try {
    await connection.withDeadline(Date.now() + TEMPORAL_MS, () =>
      connection.workflowService.describeNamespace({ namespace }),
    );
    return { name, status: 'ok', reason: `it answers, and knows namespace ${namespace}` };
  } catch (error) {
    const { details, message } = error as { readonly details?: string; readonly message?: string };
    // A call that never left has an empty string for its details.
    const said = (details || message || 'no reason given').slice(0, 200);
    return { name, status: 'failing', reason: `it does not answer for namespace ${namespace}: ${said}` };
  }
}

/** Gives everybody who asks within a second the same answer. */
function remembered<T>(ask: () => Promise<T>): () => Promise<T> {
  let last: { readonly answer: Promise<T>; readonly askedMs: number } | null = null;
  return () => {
    const nowMs = performance.now();
    if (last === null || nowMs - last.askedMs > FRESH_MS) last = { answer: ask(), askedMs: nowMs };
    return last.answer;
  };
}
