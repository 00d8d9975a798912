import { AppError, EXIT_CODES } from '../../domain/errors.ts';
import { type Runnable, runTool } from '../../process/run.ts';

const COMMAND_TIMEOUT_MS = 600_000;

/** Runs this very pitrail as a person would, with a configuration file. */
export interface PitrailRunner {
  readonly program: Runnable;
  /** Arguments that come first in every call. */
  readonly fixed: readonly string[];
  /** Runs a command with --json and gives back its document. @throws what the command says */
  json<Document>(args: readonly string[]): Promise<Document>;
  /** The same, where a degraded answer (exit code 75) is one, too. */
  look<Document>(args: readonly string[]): Promise<Document>;
  /** The command as a person types it. */
  line(args: readonly string[]): string;
}

/** Makes a runner from the script that is running now. */
export function pitrailRunner(configFile: string, signal: AbortSignal): PitrailRunner {
  const script = process.argv[1];
  if (script === undefined) {
    throw new AppError({
      code: 'NoScript',
      kind: 'bug',
      message: 'The running script has no path, so it cannot be run once more.',
    });
  }
  const program: Runnable = { program: process.execPath, args: [script] };
  const fixed = ['--config', configFile];
  const run = async <Document>(args: readonly string[], answers: readonly number[]): Promise<Document> => {
    const options = { timeoutMs: COMMAND_TIMEOUT_MS, signal, answers };
    const { stdout } = await runTool(program, [...fixed, ...args, '--json'], options);
    return JSON.parse(stdout) as Document;
  };
  return {
    program,
    fixed,
    json: (args) => run(args, []),
    look: (args) => run(args, [EXIT_CODES.unavailable]),
    line: (args) => ['npx pitrail', ...fixed, ...args].join(' '),
  };
}
