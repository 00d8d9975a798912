import { AppError } from '../domain/errors.ts';
import type { MysqlSession } from '../mysql/session.ts';
import {
  type ChannelFormat,
  type ChannelSource,
  configureChannel,
  listChannels,
  readChannel,
  readChannelFormat,
  readOpenTemporaryTables,
  redirectReceiver,
  removeChannel,
  startChannel,
} from './channel.ts';

/**
 * Makes the channel fetch from a source and apply, whatever state the server is in, and removes every other
 * channel. Answers what the channel takes: `format`, or what an applier that still runs takes already.
 * `onStopped` is asked where the channel was there and its applier stands still, before that is changed.
 * @throws refused `TemporaryTablesOpen`; what `onStopped` throws
 */
export async function beginChannel(
  session: MysqlSession,
  channel: string,
  from: ChannelSource,
  format: ChannelFormat,
  onStopped: () => Promise<void>,
): Promise<ChannelFormat> {
  const channels = await listChannels(session);
  for (const other of channels.filter((name) => name !== channel)) await removeChannel(session, other);
  const known = channels.includes(channel);
  if (known && (await readChannel(session, channel)).applier.state === 'running') {
    // An applier that was adopted goes on; stopped in the middle of a transaction, it would wait a minute.
    await redirectReceiver(session, channel, from);
    return readChannelFormat(session, channel);
  }
  await requireNoTemporaryTables(session);
  if (known) await onStopped();
  // After a kill its relay logs may not be what the server's tables say (error 1872), and gtid_executed
  // alone tells what must be sent again.
  if (known) await removeChannel(session, channel);
  await configureChannel(session, channel, from, format);
  await startChannel(session, channel);
  return format;
}

/** They live in the applier's session, which ends when its channel is configured again. */
async function requireNoTemporaryTables(session: MysqlSession): Promise<void> {
  const tables = await readOpenTemporaryTables(session);
  if (tables === 0) return;
  throw new AppError({
    code: 'TemporaryTablesOpen',
    kind: 'refused',
    message: `The replay was interrupted while ${tables} temporary tables of the origin were open; going on would lose what they hold.`,
    hint: 'Give this restore up and restore again into an empty folder.',
    facts: { tables },
  });
}
