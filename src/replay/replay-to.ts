import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, assertNever } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { readGtidExecuted } from '../mysql/facts.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { type Applier, startApplier } from './applier.ts';
import type { ArchiveSource } from './archive-source.ts';
import { beginChannel } from './begin-channel.ts';
import { type ChannelFormat, readChannel, readWorkerFailure, startReceiver, stopChannel } from './channel.ts';
import { APPLIER_FAILED, judgeReplay, type ReplayProgress } from './progress.ts';

const POLL_MS = 100;
const RECEIVER_PAUSE_MS = 1000;
/** A server that ends this often without a single transaction in between will not get further. */
const MAX_FRUITLESS_RESTARTS = 3;

/** Asked where a replay was cut, before it goes on; throws where it must not. */
export interface CutJudge {
  /** The server had ended, and was started again. */
  serverEnded(applier: Applier): Promise<void>;
  /**
   * The source ended under a server that ran on, perhaps inside of a transaction: the server undoes what it has of that
   * where that can be undone, and gets it once more.
   */
  sourceEnded(applier: Applier): Promise<void>;
  /** Applier or receiver stand still in a server that runs, perhaps inside of a transaction. */
  channelStopped(session: MysqlSession): Promise<void>;
}

export interface ReplayOptions {
  readonly applier: Applier;
  readonly source: ArchiveSource;
  readonly login: { readonly user: string; readonly password: string };
  /** Name of the channel; '' is the default one. */
  readonly channel: string;
  /** `gtid_executed` at the end, exactly. */
  readonly expected: GtidSet;
  /** What the channel takes at first; it becomes `any` where that is not enough. */
  readonly format: ChannelFormat;
  readonly judge: CutJudge;
  /** Without a transaction applied for this long, an error that may pass is taken as lasting. */
  readonly stallMs: number;
  /** Called at every poll, about ten times a second. */
  readonly onProgress: (progress: ReplayProgress) => void;
  readonly signal?: AbortSignal;
}

export interface Replayed {
  /** The applier that runs now: another one where its server had ended and was started again. */
  readonly applier: Applier;
  readonly progress: ReplayProgress;
  readonly seconds: number;
}

/**
 * Replays until `gtid_executed` is exactly the expected set, then stops the channel. May be called again at
 * any time on the same data folder: what is applied already is not sent. A server that ends in the middle
 * is started again, and goes on if the judge lets it.
 * @throws refused (a transaction cannot be applied), corrupt (archive), conflict (foreign transactions),
 *   unavailable; what the judge throws
 */
export async function replayTo(options: ReplayOptions): Promise<Replayed> {
  const replay = new Replay(options);
  return replay.run();
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #startedMs = performance.now();
  #applier: Applier;
  #format: ChannelFormat;
  #restarts = 0;
  #fruitless = 0;
  #receiverStops = 0;
  #planned: number | null = null;
  #progressMs = performance.now();
  #last: { applied: number; atMs: number } | null = null;
  #progress: ReplayProgress | null = null;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#applier = options.applier;
    this.#format = options.format;
  }

  async run(): Promise<Replayed> {
    for (;;) {
      const outcome = await this.#attempt();
      if (outcome === 'reached') {
        const seconds = (performance.now() - this.#startedMs) / 1000;
        return { applier: this.#applier, progress: this.#progress as ReplayProgress, seconds };
      }
      await this.#restart();
    }
  }

  /** Replays on the server that runs now; `ended` where that server is gone. */
  async #attempt(): Promise<'reached' | 'ended'> {
    let over: 'no' | 'yes' = 'no';
    void this.#applier.server.exited().then(() => {
      over = 'yes';
    });
    try {
      const session = await this.#applier.connect();
      try {
        await this.#begin(session);
        await this.#watch(session);
        await stopChannel(session, this.#options.channel);
        return 'reached';
      } finally {
        await session.close();
      }
    } catch (error) {
      if (!isLostSession(error)) throw error;
      // A server that dies closes its sockets a moment before its process is gone.
      await Promise.race([this.#applier.server.exited(), sleep(5_000, undefined, { ref: false })]);
      if ((over as string) === 'yes') return 'ended';
      throw error;
    }
  }

  async #begin(session: MysqlSession): Promise<void> {
    const { channel, source, login, judge } = this.#options;
    const from = { host: source.host, port: source.port, ...login };
    this.#format = await beginChannel(session, channel, from, this.#format, () =>
      judge.channelStopped(session),
    );
    this.#progressMs = performance.now();
  }

  async #watch(session: MysqlSession): Promise<void> {
    const { channel, source, expected, stallMs, signal } = this.#options;
    for (;;) {
      signal?.throwIfAborted();
      const status = await readChannel(session, channel);
      const executed = GtidSet.parse(await readGtidExecuted(session));
      this.#report(executed, status.received);
      const worker = status.applier.errno === 0 ? null : await readWorkerFailure(session, channel);
      const verdict = judgeReplay({
        expected,
        executed,
        channel: status,
        worker,
        source: source.progress().state,
        sourceFailure: source.failure(),
        msSinceProgress: performance.now() - this.#progressMs,
        stallMs,
      });
      switch (verdict.kind) {
        case 'reached':
          return;
        case 'failed':
          if (verdict.error.code !== APPLIER_FAILED || this.#format === 'any') throw verdict.error;
          await this.#takeStatements(session);
          break;
        case 'receiver-stopped':
          await this.#restartReceiver(session);
          await sleep(RECEIVER_PAUSE_MS);
          break;
        case 'applying':
          await sleep(POLL_MS);
          break;
        default:
          assertNever(verdict);
      }
    }
  }

  /** A second stop without a transaction in between is not chance: the channel may be too narrow. */
  async #restartReceiver(session: MysqlSession): Promise<void> {
    this.#receiverStops += 1;
    if (this.#receiverStops > 1 && this.#format === 'rows-only') await this.#takeStatements(session);
    else {
      await this.#options.judge.channelStopped(session);
      await startReceiver(session, this.#options.channel);
    }
  }

  /** Whatever stopped a channel that takes rows only, it is tried again as any channel takes it. */
  async #takeStatements(session: MysqlSession): Promise<void> {
    this.#format = 'any';
    await this.#begin(session);
  }

  #report(executed: GtidSet, received: GtidSet): void {
    const nowMs = performance.now();
    const { expected, source } = this.#options;
    const left = Number(expected.subtract(executed).count());
    this.#planned ??= left;
    const applied = this.#planned - left;
    const before = this.#last ?? { applied: 0, atMs: this.#startedMs };
    if (applied > before.applied) {
      this.#progressMs = nowMs;
      this.#fruitless = 0;
      this.#receiverStops = 0;
    }
    const seconds = Math.max(0.001, (nowMs - before.atMs) / 1000);
    this.#last = { applied, atMs: nowMs };
    this.#progress = {
      plannedTransactions: this.#planned,
      appliedTransactions: applied,
      waitingTransactions: Number(received.subtract(executed).count()),
      transactionsPerSecond: Math.round((applied - before.applied) / seconds),
      bytesSent: source.progress().bytesSent,
      restarts: this.#restarts,
    };
    this.#options.onProgress(this.#progress);
  }

  async #restart(): Promise<void> {
    this.#options.signal?.throwIfAborted();
    this.#fruitless += 1;
    this.#restarts += 1;
    if (this.#fruitless > MAX_FRUITLESS_RESTARTS) throw keepsEnding(this.#applier.logFile);
    this.#applier = await startApplier(this.#applier.options);
    await this.#options.judge.serverEnded(this.#applier);
    this.#progressMs = performance.now();
  }
}

/** True where the error may come from a server that is no more. */
function isLostSession(error: unknown): boolean {
  return error instanceof AppError && error.kind === 'unavailable';
}

function keepsEnding(logFile: string): AppError {
  return new AppError({
    code: 'ApplierKeepsEnding',
    kind: 'refused',
    message: `The applier's mysqld ended ${MAX_FRUITLESS_RESTARTS + 1} times without applying a transaction in between; the replay cannot go on. Its error log is ${logFile}.`,
    hint: 'Read the error log; where it speaks of torn pages, restore again from the base backup.',
    facts: { logFile },
  });
}
