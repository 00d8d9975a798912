import { spawn } from 'node:child_process';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');
export const PITRAIL = join(ROOT, 'bin/pitrail');

export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A command that goes on until it is interrupted; its output goes into pipes. */
export interface WatchedCli {
  /** All that it has printed so far. */
  stdout(): string;
  /** Ctrl-C; resolves when it has ended. */
  interrupt(): Promise<CliRun>;
}

/** Runs pitrail as a person does, to its end. */
export function pitrail(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  return start(args, options).ended;
}

/** Starts pitrail as a person does. The caller ends it. */
export function watchPitrail(args: readonly string[]): WatchedCli {
  const { child, printed, ended } = start(args, {});
  return {
    stdout: () => printed.stdout,
    interrupt() {
      child.kill('SIGINT');
      return ended;
    },
  };
}

function start(args: readonly string[], options: CliOptions) {
  const env: NodeJS.ProcessEnv = { ...process.env, ...options.env };
  if (options.env?.['PITRAIL_CONFIG'] === undefined) delete env['PITRAIL_CONFIG'];
  const child = spawn(PITRAIL, args, { cwd: options.cwd ?? ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const printed = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      printed[stream] += text;
    });
  }
  const ended = new Promise<CliRun>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...printed }));
  });
  return { child, printed, ended };
}

/** The one JSON document on stdout; fails where there is anything else. */
export function documentOf<T>(run: CliRun): T {
  const lines = run.stdout.split('\n');
  if (lines.length !== 2 || lines[1] !== '')
    throw new Error(`stdout is not one document: ${run.stdout}\n${run.stderr}`);
  return JSON.parse(lines[0] ?? '') as T;
}
