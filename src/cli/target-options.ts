import { z } from 'zod';
import type { OptionSpec } from './command.ts';

/** The options of every command that takes a recovery target. */
export const TARGET_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--to <target>',
    description: 'latest, a time with zone, before:GTID, after:GTID, or file:[SERVER_UUID/]BINLOG:OFFSET',
  },
  { flags: '--cluster <name>', description: 'where more than one is configured' },
  { flags: '--store <id>', description: 'read from this store only; default: the first that can be read' },
  { flags: '--timeline <number>', description: 'a line of history; default: the newest' },
  { flags: '--skip-gtid <set>', description: 'transactions to leave out of the replay' },
];

/** Their decoded form; null where an option was not given. */
export const targetSchema = z.strictObject({
  to: z.string({ error: 'say where to stop, such as --to latest' }).min(1, 'is empty'),
  cluster: z.string().nullable().default(null),
  store: z.string().nullable().default(null),
  timeline: z.coerce.number().int('must be a whole number').nonnegative().nullable().default(null),
  skipGtid: z.string().default(''),
});
