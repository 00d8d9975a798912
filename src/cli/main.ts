import { CommanderError } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { findConfig, loadConfig } from '../config/load.ts';
import type { PitrailConfig } from '../config/types.ts';
import { AppError, EXIT_CODES } from '../domain/errors.ts';
import { raiseMinimumTls } from '../process/minimum-tls.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { CliContext } from './command.ts';
import { EXIT_BROKEN_PIPE, endingOf, Interrupted } from './exit.ts';
import { Output } from './output.ts';
import { buildProgram, type GlobalOptions } from './program.ts';
import { progressOn } from './progress.ts';

/** Runs the command line to its end. @returns the exit code */
async function main(argv: readonly string[]): Promise<number> {
  const stop = new AbortController();
  onSignals(stop);
  const streams = { stdout: process.stdout, stderr: process.stderr };
  let exitCode = 0;
  try {
    const text = { version: packageJson.version, print: (words: string) => void process.stdout.write(words) };
    const program = await buildProgram(argv, text, async (command, globals, rawOptions, args) => {
      exitCode = await command.start(contextOf(globals, stop.signal), rawOptions, args);
    });
    if (argv.length === 0) {
      process.stderr.write(program.helpInformation());
      return EXIT_CODES.usage;
    }
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    const ending = endingOf(await understood(error), stop.signal);
    if (ending.kind === 'failed') {
      // Read from argv itself, because the error may be that it could not be parsed.
      const mode = argv.includes('--json') ? 'json' : 'people';
      new Output(mode, streams).failure(ending.document, ending.words);
    }
    return ending.exitCode;
  }
}

/** Makes an AppError of what Temporal's client throws; its modules are loaded for that alone. */
async function understood(error: unknown): Promise<unknown> {
  if (error instanceof AppError || error instanceof CommanderError || error instanceof Interrupted)
    return error;
  const { fromTemporal } = await import('./temporal-errors.ts');
  return fromTemporal(error);
}

function contextOf(globals: GlobalOptions, signal: AbortSignal): CliContext {
  const mode = globals.isJson ? 'json' : 'people';
  let config: Promise<PitrailConfig> | null = null;
  return {
    config() {
      config ??= findConfig(globals.config).then(loadConfig);
      return config;
    },
    output: new Output(mode, { stdout: process.stdout, stderr: process.stderr }),
    signal,
    progress: progressOn(process.stderr, mode),
    logger: createLogger({
      level: globals.logLevel,
      form: process.stderr.isTTY ? 'lines' : 'json',
      to: process.stderr,
    }),
    env: process.env,
  };
}

/** The first signal asks what runs to stop; the second ends the process. */
function onSignals(stop: AbortController): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      const reason = new Interrupted(name);
      if (stop.signal.aborted) process.exit(reason.exitCode);
      stop.abort(reason);
    });
  }
}

/** A reader that goes away (`| head`) is no error to speak of; other failures of a stream are. */
function onBrokenPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_BROKEN_PIPE);
    throw error;
  });
}

/** Waits until what was written has left the process: exit() would cut a pipe. */
async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
}

onBrokenPipe(process.stdout);
onBrokenPipe(process.stderr);
raiseMinimumTls();
const exitCode = await main(process.argv.slice(2));
await flushed(process.stdout);
await flushed(process.stderr);
process.exit(exitCode);
