import type { z } from 'zod';
import type { PitrailConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Output } from './output.ts';
import type { StartProgress } from './progress.ts';

/** What every command gets. */
export interface CliContext {
  /** The configuration, read and checked at the first call. @throws config */
  config(): Promise<PitrailConfig>;
  readonly output: Output;
  /** Aborted by Ctrl-C or SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal;
  readonly progress: StartProgress;
  /** To stderr. */
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
}

export interface OptionSpec {
  /** As commander writes it: `--to <target>`, `--once`, `--role <role...>`. */
  readonly flags: string;
  readonly description: string;
}

export interface ArgumentSpec {
  /** `<file>` must be given, `[file]` may, `<files...>` are one or more. */
  readonly name: string;
  readonly description: string;
}

export interface Example {
  readonly line: string;
  readonly says: string;
}

/** One command: a file in `commands/`, and a line in `commands.ts`. */
export interface CommandSpec<Options> {
  /** Two or three sentences: what it does, what it leaves alone, what its exit code means. */
  readonly description: string;
  readonly arguments: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly Example[];
  /** Decodes what commander read; its issues become usage errors that name the option. */
  readonly schema: z.ZodType<Options>;
  /** @returns the exit code; 0 only where nothing is degraded */
  run(context: CliContext, input: CommandInput<Options>): Promise<number>;
}

export interface CommandInput<Options> {
  readonly options: Options;
  readonly args: readonly string[];
}

/** A command whose options are decoded already: what the frame runs. */
export interface Command {
  readonly description: string;
  readonly arguments: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly Example[];
  start(context: CliContext, rawOptions: unknown, args: readonly string[]): Promise<number>;
}

/** Makes a command of its description. */
export function defineCommand<Options>(spec: CommandSpec<Options>): Command {
  return {
    description: spec.description,
    arguments: spec.arguments,
    options: spec.options,
    examples: spec.examples,
    start(context, rawOptions, args) {
      return spec.run(context, { options: decodeOptions(spec.schema, rawOptions), args });
    },
  };
}

function decodeOptions<Options>(schema: z.ZodType<Options>, raw: unknown): Options {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  throw badOption(result.error.issues);
}

function badOption(issues: readonly z.core.$ZodIssue[]): AppError {
  const problems = issues.map((issue) => `--${kebab(String(issue.path[0] ?? 'option'))}: ${issue.message}`);
  return new AppError({
    code: 'BadOption',
    kind: 'usage',
    message: `${problems.join('; ')}. Nothing was done.`,
    hint: 'The command with --help tells what each option takes.',
    facts: { problems },
  });
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
