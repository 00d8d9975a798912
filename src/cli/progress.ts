import { type Options, SingleBar } from 'cli-progress';
import type { OutputMode } from './output.ts';
import { formatBytes, formatSeconds } from './words.ts';

/** Shows how far a long piece of work is. */
export interface Progress {
  /** How much is done so far, in bytes. */
  update(doneBytes: number): void;
  /** Ends it, with what was reached. */
  stop(): void;
}

/** Starts to show a piece of work; `totalBytes` null where the size is unknown. */
export type StartProgress = (label: string, totalBytes: number | null) => Progress;

/** The bar of one piece of work, whose size may become known on the way. */
export interface WorkBar {
  /** Shows a bar, in the place of the one before. */
  begin(label: string, totalBytes: number): void;
  /** Without a bar it shows nothing. */
  update(doneBytes: number): void;
}

/** Does work that shows how far it is; its bar ends with it, however it ends. */
export async function withBar<T>(start: StartProgress, work: (bar: WorkBar) => Promise<T>): Promise<T> {
  const shown: { bar: Progress | null } = { bar: null };
  try {
    return await work({
      begin(label, totalBytes) {
        shown.bar?.stop();
        shown.bar = start(label, totalBytes);
      },
      update: (doneBytes) => shown.bar?.update(doneBytes),
    });
  } finally {
    shown.bar?.stop();
  }
}

const LINE_EVERY_MS = 5000;

/**
 * A bar on a terminal; plain lines, a few seconds apart, elsewhere and with --json: work that is
 * done before the first line is due says nothing. Always on stderr.
 */
export function progressOn(
  stream: NodeJS.WriteStream,
  mode: OutputMode,
  now: () => number = () => performance.now(),
): StartProgress {
  return stream.isTTY && mode === 'people'
    ? (label, totalBytes) => bar(stream, label, totalBytes, now)
    : (label, totalBytes) => lines(stream, label, totalBytes, now);
}

/** `1.20 GiB of 3.40 GiB (35 %), 120 MiB/s, 18 s left`. */
export function describeProgress(doneBytes: number, totalBytes: number | null, elapsedMs: number): string {
  const rate = elapsedMs > 0 ? (doneBytes * 1000) / elapsedMs : 0;
  const speed = `${formatBytes(rate)}/s`;
  if (totalBytes === null || totalBytes === 0) return `${formatBytes(doneBytes)}, ${speed}`;
  const percent = Math.floor((100 * Math.min(doneBytes, totalBytes)) / totalBytes);
  const left = rate > 0 ? formatSeconds(Math.max(0, totalBytes - doneBytes) / rate) : 'unknown time';
  return `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)} (${percent} %), ${speed}, ${left} left`;
}

function bar(
  stream: NodeJS.WriteStream,
  label: string,
  totalBytes: number | null,
  now: () => number,
): Progress {
  const startedAt = now();
  const options: Options = {
    stream,
    hideCursor: true,
    clearOnComplete: false,
    format: totalBytes === null ? '{label}  {words}' : '{label}  {bar}  {words}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    fps: 10,
  };
  const shown = new SingleBar(options);
  const words = (doneBytes: number) => describeProgress(doneBytes, totalBytes, now() - startedAt);
  shown.start(Math.max(1, totalBytes ?? 1), 0, { label, words: words(0) });
  return {
    update: (doneBytes) => shown.update(doneBytes, { label, words: words(doneBytes) }),
    stop: () => shown.stop(),
  };
}

function lines(
  stream: NodeJS.WriteStream,
  label: string,
  totalBytes: number | null,
  now: () => number,
): Progress {
  const startedAt = now();
  let doneBytes = 0;
  let saidAt = startedAt;
  let saidBytes = -1;
  const say = () => {
    saidAt = now();
    saidBytes = doneBytes;
    stream.write(`${label}: ${describeProgress(doneBytes, totalBytes, saidAt - startedAt)}\n`);
  };
  return {
    update(done) {
      doneBytes = done;
      if (now() - saidAt >= LINE_EVERY_MS) say();
    },
    stop() {
      const isWorthIt = now() - startedAt >= LINE_EVERY_MS;
      if (isWorthIt && doneBytes !== saidBytes) say();
    },
  };
}
