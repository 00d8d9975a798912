import { z } from 'zod';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { OptionSpec } from './command.ts';

/** The options of every command that takes a recovery target. */
export const TARGET_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--to <target>',
    description: 'latest, a time with zone, before:GTID, after:GTID, or file:[SERVER_UUID/]BINLOG:OFFSET',
  },
  { flags: '--cluster <name>', description: 'where more than one is configured' },
  {
    flags: '--store <id>',
    description: 'read from this store only; default: all that can be read, together',
  },
  { flags: '--timeline <number>', description: 'a line of history; default: the newest' },
  { flags: '--skip-gtid <set>', description: 'transactions to leave out of the replay' },
];

/** A GTID set as an option, in canonical form. */
export const gtidSetOption = z.string().transform((text, { addIssue }) => {
  try {
    return GtidSet.parse(text).toString();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    addIssue(error.message);
    return z.NEVER;
  }
});

/** Their decoded form; null where an option was not given. */
export const targetSchema = z.strictObject({
  to: z.string({ error: 'say where to stop, such as --to latest' }).min(1, 'is empty'),
  cluster: z.string().nullable().default(null),
  store: z.string().nullable().default(null),
  timeline: z.coerce.number().int('must be a whole number').nonnegative().nullable().default(null),
  skipGtid: gtidSetOption.default(''),
});
