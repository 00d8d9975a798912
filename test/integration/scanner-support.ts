import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { decodeHeader } from '../../src/binlog/event-header.ts';
import { eventName } from '../../src/binlog/event-types.ts';
import { runTool } from '../../src/process/run.ts';
import { withTempDir } from '../../src/process/temp.ts';
import { findTool } from '../../src/process/tools.ts';
import type { TestMysql } from '../support/mysql.ts';

/** Runs a script with the mysql client: bytes as they are, several statements, LOAD DATA LOCAL. */
export async function runScript(
  server: TestMysql,
  sql: string | Uint8Array,
  charset = 'utf8mb4',
): Promise<void> {
  const args = [
    '--no-defaults',
    `--default-character-set=${charset}`,
    '-uroot',
    '-S',
    server.socket,
    '--local-infile=1',
    '--binary-mode',
    '--max-allowed-packet=1G',
  ];
  await runTool(await findTool('mysql'), args, { input: sql, timeoutMs: 120_000 });
}

/** Runs a script, closes the log that it went to, and returns that log's path. */
export async function logOf(server: TestMysql, sql: string | Uint8Array, charset?: string): Promise<string> {
  await server.run('FLUSH BINARY LOGS');
  const [status] = await server.query<{ File: string }>('SHOW BINARY LOG STATUS');
  await runScript(server, sql, charset);
  await server.run('FLUSH BINARY LOGS');
  return join(server.binlogDir, status?.File ?? '');
}

/** One event as the server lists it. */
export interface ListedEvent {
  readonly offset: number;
  readonly endOffset: number;
  readonly serverId: number;
  readonly type: string;
}

/** The server's names that are not this project's in capitals. */
const LISTED: Readonly<Record<string, string>> = {
  Format_desc: 'FORMAT_DESCRIPTION',
  Gtid_tagged_log_event: 'GTID_TAGGED',
  Update_rows_partial: 'PARTIAL_UPDATE_ROWS',
  User_var: 'USER_VAR',
  'User var': 'USER_VAR',
};

/** SHOW BINLOG EVENTS, without the events inside of compressed transactions. */
export async function listed(server: TestMysql, path: string): Promise<ListedEvent[]> {
  const rows = await server.query<
    Record<'Pos' | 'End_log_pos' | 'Server_id', number | string> & { Event_type: string }
  >(`SHOW BINLOG EVENTS IN '${basename(path)}'`);
  return rows
    .filter(({ Pos, End_log_pos }) => Number(Pos) !== Number(End_log_pos))
    .map(({ Pos, End_log_pos, Server_id, Event_type }) => ({
      offset: Number(Pos),
      endOffset: Number(End_log_pos),
      serverId: Number(Server_id),
      type: LISTED[Event_type] ?? Event_type.toUpperCase(),
    }));
}

/** What mysqlbinlog says of a log. */
export interface Printed {
  /** Ends of the events that it prints at their place, without those inside of compressed transactions. */
  readonly ends: ReadonlySet<number>;
  readonly gtids: readonly string[];
  readonly commitTimes: readonly bigint[];
  readonly rows: { readonly insert: number; readonly update: number; readonly delete: number };
}

const HEADER = /^#\d{6} +\d+:\d\d:\d\d server id \d+ +end_log_pos (\d+)/;

/** Runs `mysqlbinlog --verify-binlog-checksum -v` and reads its output. */
export async function printed(path: string): Promise<Printed> {
  const args = ['--no-defaults', '--verify-binlog-checksum', '-v', '--base64-output=DECODE-ROWS'];
  const tool = await findTool('mysqlbinlog');
  // It writes the files of LOAD DATA somewhere, and leaves them there.
  const { stdout } = await withTempDir('pt-load', (dir) =>
    runTool(tool, [...args, `--local-load=${dir}`, path], {
      timeoutMs: 120_000,
      maxOutputBytes: 512 * 1024 ** 2,
      env: { TZ: 'UTC' },
    }),
  );
  const found = { ends: new Set<number>(), gtids: [] as string[], commitTimes: [] as bigint[] };
  const rows = { insert: 0, update: 0, delete: 0 };
  let compressed = false;
  for (const line of stdout.split('\n')) {
    if (line === '# Start of compressed events.') compressed = true;
    else if (line === '# End of compressed events.') compressed = false;
    else if (line.startsWith('### INSERT INTO')) rows.insert += 1;
    else if (line.startsWith('### UPDATE ')) rows.update += 1;
    else if (line.startsWith('### DELETE FROM')) rows.delete += 1;
    const next = /^SET @@SESSION\.GTID_NEXT= '([^']+:[^']+)'/.exec(line)?.[1];
    if (next !== undefined) found.gtids.push(next);
    const commit = /^# immediate_commit_timestamp=(\d+)/.exec(line)?.[1];
    if (commit !== undefined) found.commitTimes.push(BigInt(commit));
    const end = compressed ? undefined : HEADER.exec(line)?.[1];
    if (end !== undefined) found.ends.add(Number(end));
  }
  return { ...found, rows };
}

/** A whole event cut out of a log. */
export interface RawEvent {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** Cuts a small sound log into its events. */
export async function rawEvents(path: string): Promise<RawEvent[]> {
  const bytes = await readFile(path);
  const events: RawEvent[] = [];
  for (let at = 4; at < bytes.length; ) {
    const { type, sizeBytes } = decodeHeader(bytes, at);
    events.push({ type: eventName(type), bytes: bytes.subarray(at, at + sizeBytes) });
    at += sizeBytes;
  }
  return events;
}
