import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = resolve(fileURLToPath(new URL('../..', import.meta.url)));

/** Exit code for a set-up that cannot be completed (EX_CONFIG). */
const EXIT_CONFIG = 78;

/** Progress goes to stderr: stdout belongs to the command that runs after the set-up. */
export function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

/** Ends the set-up: the fact, then the ways out, one a line. */
export function fail(fact, ways) {
  say(fact);
  for (const way of ways) process.stderr.write(`  - ${way}\n`);
  process.exit(EXIT_CONFIG);
}

/** `4 s`, `3 min 25 s` */
export function elapsed(sinceMs) {
  const seconds = Math.round((performance.now() - sinceMs) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Says every `everyMs` that a long step still runs. Gives back what ends it. */
export function stillRunning(what, everyMs = 15_000) {
  const since = performance.now();
  const timer = setInterval(() => say(`${what}: still running, ${elapsed(since)}`), everyMs);
  return () => clearInterval(timer);
}
