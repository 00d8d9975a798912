import { AppError } from '../../domain/errors.ts';
import { type Runnable, runTool } from '../../process/run.ts';

const COMMAND_TIMEOUT_MS = 600_000;

/** Runs this very pitrail as a person would, with a configuration file. */
export interface PitrailRunner {
  readonly program: Runnable;
  /** Arguments that come first in every call. */
  readonly fixed: readonly string[];
  /** Runs a command with --json and gives back its document. @throws what the command says */
  json<Document>(args: readonly string[]): Promise<Document>;
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
  return {
    program,
    fixed,
    async json<Document>(args: readonly string[]) {
      const { stdout } = await runTool(program, [...fixed, ...args, '--json'], {
        timeoutMs: COMMAND_TIMEOUT_MS,
        signal,
      });
      return JSON.parse(stdout) as Document;
    },
    line: (args) => ['npx pitrail', ...fixed, ...args].join(' '),
  };
}
