import { Command as Commander, CommanderError } from 'commander';
import { nearest } from '../config/nearest.ts';
import type { LogLevel } from '../telemetry/logger.ts';
import type { Command } from './command.ts';
import { COMMANDS, type CommandEntry, GROUPS } from './commands.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  readonly config: string | null;
  readonly isJson: boolean;
  readonly logLevel: LogLevel;
}

/** Runs one command; the program calls it with what it has read. */
export type Runner = (
  command: Command,
  globals: GlobalOptions,
  rawOptions: unknown,
  args: readonly string[],
) => Promise<void>;

export interface ProgramText {
  readonly version: string;
  /** Takes the text of help and version. */
  readonly print: (text: string) => void;
}

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
const HELP_COMMAND = 'help [command]';

/**
 * Builds the command line. Only commands whose words stand in `argv` are loaded; of the others the
 * summary is enough. Throws CommanderError for bad usage, and writes nothing itself.
 */
export async function buildProgram(
  argv: readonly string[],
  text: ProgramText,
  run: Runner,
): Promise<Commander> {
  const program = new Commander('pitrail')
    .description(
      'Archives MySQL binary logs and base backups, and brings a server back to any point in time.',
    )
    .option(
      '--config <file>',
      'configuration file (default: $PITRAIL_CONFIG, ./pitrail.yaml, /etc/pitrail/pitrail.yaml)',
    )
    .option('--json', 'print results as JSON on stdout; words stay on stderr')
    .option('--log-level <level>', `how much is logged on stderr: ${LOG_LEVELS.join(', ')} (default: warn)`)
    .version(text.version, '--version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(HELP_COMMAND, 'show help of a command')
    .showSuggestionAfterError(true);
  quiet(program, text);
  program.addHelpText('after', programNotes());
  for (const entry of COMMANDS) await addCommand(program, entry, argv, text, run);
  return program;
}

function programNotes(): string {
  return `
Exit codes: 0 all is well, 3 refused, 4 corrupt, 5 conflict, 64 wrong usage, 70 a bug,
75 unavailable (try again), 78 wrong configuration, 130 interrupted.

Examples:
  $ pitrail quickstart                    see the whole thing work, with servers of its own
  $ pitrail check                         is everything in place?
  $ pitrail help restore                  options and examples of one command`;
}

async function addCommand(
  program: Commander,
  entry: CommandEntry,
  argv: readonly string[],
  text: ProgramText,
  run: Runner,
): Promise<void> {
  const [first = '', second] = entry.name.split(' ');
  const parent = second === undefined ? program : groupOf(program, first, text);
  const shown = parent.command(second ?? first).summary(entry.summary);
  quiet(shown, text);
  if (!argv.includes(first)) return;
  const command = await entry.load();
  shown.description(command.description);
  for (const { name, description } of command.arguments) shown.argument(name, description);
  for (const { flags, description } of command.options) shown.option(flags, description);
  shown.addHelpText('after', examplesOf(command));
  shown.action(async () => {
    await run(command, globalsOf(shown.optsWithGlobals()), shown.opts(), shown.args);
  });
}

function groupOf(program: Commander, name: string, text: ProgramText): Commander {
  const known = program.commands.find((command) => command.name() === name);
  if (known !== undefined) return known;
  const group = program
    .command(name)
    .summary(GROUPS[name] ?? '')
    .description(GROUPS[name] ?? '');
  quiet(group, text);
  return group;
}

/** Commander's own writing goes through us; its errors are thrown, not printed. */
function quiet(command: Commander, text: ProgramText): void {
  command
    .exitOverride((error: CommanderError) => {
      throw error.code === 'commander.help' && error.exitCode !== 0 ? untold(command) : error;
    })
    .configureOutput({ writeOut: text.print, writeErr: () => undefined })
    .configureHelp({ showGlobalOptions: true })
    .allowExcessArguments(false);
}

/** A group without its command, or help of a command that there is not. */
function untold(command: Commander): CommanderError {
  const names = command.commands.map((it) => it.name());
  const [first, asked] = command.args;
  const meant = first === 'help' && asked !== undefined ? nearest(asked, names) : undefined;
  const message =
    first === 'help' && asked !== undefined
      ? `error: unknown command '${asked}'${meant === undefined ? '' : `\n(Did you mean ${meant}?)`}`
      : command.parent === null
        ? 'error: pitrail needs to be told what to do'
        : `error: ${command.name()} needs to be told what to do: ${names.map((name) => `pitrail ${command.name()} ${name}`).join(', ')}`;
  return new CommanderError(1, 'commander.unknownCommand', message);
}

function examplesOf(command: Command): string {
  const width = Math.max(0, ...command.examples.map(({ line }) => line.length));
  const lines = command.examples.map(({ line, says }) => `  $ ${line.padEnd(width)}  ${says}`);
  return lines.length === 0 ? '' : `\nExamples:\n${lines.join('\n')}`;
}

function globalsOf(raw: Readonly<Record<string, unknown>>): GlobalOptions {
  const { config, json, logLevel } = raw;
  const level = LOG_LEVELS.find((known) => known === logLevel);
  if (logLevel !== undefined && level === undefined) {
    throw new CommanderError(1, 'badLogLevel', `error: --log-level takes ${LOG_LEVELS.join(', ')}`);
  }
  return {
    config: typeof config === 'string' ? config : null,
    isJson: json === true,
    logLevel: level ?? 'warn',
  };
}
