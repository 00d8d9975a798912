import { peekRemote } from '../../archiving/remote/peek.ts';
import { remoteReader } from '../../archiving/remote/reader.ts';
import type { RemoteSource } from '../../config/types.ts';
import { readBinaryLogs } from '../../mysql/facts.ts';
import type { MysqlSession } from '../../mysql/session.ts';
import { formatBytes } from '../words.ts';
import { type CheckFinding, failedBy, findingsOf, ok, warning } from './finding.ts';
import { checkWritable } from './staging.ts';

/** What of archiving a server without its files works: the way to it, reading as a replica, room for what was read. */
export async function checkRemoteLogs(
  part: string,
  source: RemoteSource,
  session: MysqlSession,
): Promise<readonly CheckFinding[]> {
  const { stagingDir, stageAheadBytes } = source;
  const staging = `${stagingDir} takes up to ${formatBytes(stageAheadBytes)} of binlogs that are read from the server`;
  return [
    ...(await findingsOf(part, () => checkDump(part, source, session))),
    await checkWritable(part, stagingDir, staging),
    warning(
      part,
      'a base backup by clone needs the host of the database, so none can be taken through this source.',
      'Take base backups through a source of mode host of the same cluster, such as a replica.',
    ),
  ];
}

/** Reads the beginning of the open log, as archiving would. */
async function checkDump(
  part: string,
  source: RemoteSource,
  session: MysqlSession,
): Promise<readonly CheckFinding[]> {
  const open = (await readBinaryLogs(session)).at(-1);
  if (open === undefined) return [];
  const found = await peekRemote(remoteReader(source), open.name);
  if (found.kind === 'corrupt') return [failedBy(part, found.error)];
  return [ok(part, `the server sends its binlogs to ${source.user} (server_id ${source.replicaServerId})`)];
}
