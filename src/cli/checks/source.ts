import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { connectSource } from '../../config/connect-source.ts';
import type { ArchiveConfig, HostSource, SourceConfig } from '../../config/types.ts';
import { readBinlogScope } from '../../mysql/binlog-scope.ts';
import { readGrants, readServerFacts, type ServerFacts } from '../../mysql/facts.ts';
import { type Grant, grantStatement, judgeGrants } from '../../mysql/grants.ts';
import type { MysqlSession } from '../../mysql/session.ts';
import type { SourceHistory } from './cluster-sources.ts';
import { type CheckFinding, failed, findingsOf, ok, warning } from './finding.ts';
import { checkRemoteLogs } from './remote-logs.ts';
import { judgeScope, judgeSettings } from './server-settings.ts';
import { checkWritable, nearestExisting } from './staging.ts';

const CONNECT_TIMEOUT_MS = 5000;

/** What was found out about a source, and what its server has executed. */
export interface CheckedSource {
  readonly findings: readonly CheckFinding[];
  readonly history: SourceHistory;
}

/** Checks a source: does it answer, its settings, the account's privileges, its files. */
export async function checkSource(
  cluster: string,
  source: SourceConfig,
  archive: ArchiveConfig,
): Promise<CheckedSource> {
  const part = `source ${cluster}/${source.id}`;
  let gtidExecuted: SourceHistory['gtidExecuted'] = null;
  const findings = await findingsOf(part, async () => {
    const session = await connectSource(source, { connectTimeoutMs: CONNECT_TIMEOUT_MS });
    try {
      const facts = await readServerFacts(session);
      gtidExecuted = facts.gtidExecuted;
      const grants = await readGrants(session);
      return [
        ok(part, `MySQL ${facts.version} answers at ${session.where}, server_uuid ${facts.serverUuid}`),
        ...judgeSettings(part, facts, source.mode),
        ...judgePrivileges(part, grants, source),
        // Without its privileges the account is denied this, and what it lacks was said.
        ...(await findingsOf(part, async () => judgeScope(part, facts, await readBinlogScope(session)))),
        ...(await checkRotation(part, session, grants, archive)),
        ...(source.mode === 'host'
          ? [...(await checkClone(part, session)), ...(await checkFiles(part, source, facts))]
          : await checkRemoteLogs(part, source, session)),
      ];
    } finally {
      await session.close();
    }
  });
  return { findings, history: { id: source.id, gtidExecuted } };
}

/** Too few privileges fail; too many are a warning: whoever steals the password can use them. Pure. */
export function judgePrivileges(
  part: string,
  grants: readonly Grant[],
  { user, mode }: Pick<SourceConfig, 'user' | 'mode'>,
): CheckFinding[] {
  const account = `'${user}'@'…'`;
  const archiver = judgeGrants(grants, 'archiver');
  // A clone needs the host of the database.
  const clone = mode === 'host' ? judgeGrants(grants, 'clone').missing : [];
  const missing = [...new Set([...archiver.missing, ...clone])];
  const findings: CheckFinding[] = [];
  if (missing.length > 0) {
    const message = `${user} lacks ${missing.join(', ')}, so archiving or base backups will be denied.`;
    findings.push(failed(part, 'PrivilegesMissing', 'refused', message, grantStatement(missing, account)));
  }
  if (archiver.tooMany.length > 0) {
    const message = `${user} may do more than it needs (${archiver.tooMany.join(', ')}): a stolen password could destroy data or history.`;
    findings.push(
      warning(
        part,
        message,
        `REVOKE what is not needed from ${account}, or give pitrail an account of its own.`,
      ),
    );
  }
  return findings.length > 0 ? findings : [ok(part, `${user} has the privileges it needs, and no more`)];
}

async function checkClone(part: string, session: MysqlSession): Promise<CheckFinding[]> {
  const [plugin] = await session.query<{ status: string }>(
    "SELECT PLUGIN_STATUS AS status FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'clone'",
  );
  if (plugin?.status === 'ACTIVE') return [ok(part, 'the clone plugin is active')];
  const message = 'the clone plugin is not active, so no base backup can be taken.';
  return [
    failed(
      part,
      'ClonePluginMissing',
      'refused',
      message,
      "As root: INSTALL PLUGIN clone SONAME 'mysql_clone.so'",
    ),
  ];
}

/** Whether pitrail may close the open binlog, where it is told to. */
async function checkRotation(
  part: string,
  session: MysqlSession,
  grants: readonly Grant[],
  archive: ArchiveConfig,
): Promise<CheckFinding[]> {
  if (archive.rotateSeconds === 0) return [ok(part, 'pitrail does not rotate (rotateSeconds: 0)')];
  const [routine] = await session.query(
    "SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'pitrail' AND ROUTINE_NAME = 'rotate_binlog'",
  );
  const mayFlush = grants.some(
    ({ privileges, on }) =>
      on === '*.*' && privileges.some((it) => it === 'RELOAD' || it === 'ALL PRIVILEGES'),
  );
  if (routine !== undefined || mayFlush) return [ok(part, 'the open binlog can be rotated')];
  return [
    warning(
      part,
      'nobody lets pitrail rotate the open binlog: what it holds is archived only when the server closes it.',
      'As root: CREATE DATABASE IF NOT EXISTS pitrail; CREATE PROCEDURE pitrail.rotate_binlog() SQL SECURITY DEFINER FLUSH BINARY LOGS; grant EXECUTE on it. Or set archive.rotateSeconds: 0.',
    ),
  ];
}

/** Looks at the binlogs' folder, where this machine is the one that has it. */
async function checkFiles(part: string, source: HostSource, facts: ServerFacts): Promise<CheckFinding[]> {
  const { binlogDir, stagingDir } = source;
  const said = facts.logBinBasename === null ? null : dirname(facts.logBinBasename);
  const reachable = await access(binlogDir, constants.R_OK | constants.X_OK).then(
    () => null,
    (error: NodeJS.ErrnoException) => error.code ?? 'unknown reason',
  );
  if (reachable !== null) {
    const message = `${binlogDir} cannot be read from here (${reachable}), so its files were not checked.`;
    return [
      warning(part, message, `Run "pitrail check" on the host of worker ${source.workerHost}, as its user.`),
    ];
  }
  const findings = [ok(part, `${binlogDir} can be read`)];
  if (said !== null && said !== binlogDir) {
    const message = `the server writes its binlogs to ${said}, and binlogDir is ${binlogDir}: they must be the same folder.`;
    findings.push(warning(part, message, 'Set binlogDir to that folder, unless one is a link to the other.'));
  }
  return [...findings, await checkStaging(part, binlogDir, stagingDir)];
}

async function checkStaging(part: string, binlogDir: string, stagingDir: string): Promise<CheckFinding> {
  const place = await nearestExisting(stagingDir);
  const [logs, staging] = await Promise.all([stat(binlogDir), stat(place)]);
  if (logs.dev !== staging.dev) {
    const message = `${stagingDir} is on another file system than ${binlogDir}: closed binlogs are copied there instead of linked.`;
    return warning(part, message, 'Set archive.stagingDir to a folder beside the binlogs.');
  }
  return checkWritable(part, stagingDir, `${stagingDir} takes hard links of closed binlogs`);
}
