import { strict as assert } from 'node:assert';
import { after, test } from 'node:test';
import { readBinlogScope } from '../../src/mysql/binlog-scope.ts';
import { startTestMysql } from '../support/mysql.ts';
import { startTestReplica } from '../support/mysql-replica.ts';
import { createRoleUser } from '../support/mysql-users.ts';

const cleanups: (() => Promise<void>)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

test('a server tells an account with the least privileges what is missing in its binlogs', {
  timeout: 120_000,
}, async () => {
  const source = await startTestMysql({ options: ['--binlog-ignore-db=scratch', '--binlog-do-db=shop'] });
  cleanups.push(() => source.stop());
  const { user, password } = await createRoleUser(source, 'archiver', 'archiver');
  const session = await source.connect(user, password);
  assert.deepEqual(await readBinlogScope(session), {
    role: 'source',
    logReplicaUpdates: true,
    preserveCommitOrder: true,
    onBinlogError: 'ABORT_SERVER',
    purgesByAge: true,
    onlyDatabases: 'shop',
    ignoredDatabases: 'scratch',
  });
  const options = ['--log-replica-updates=OFF', '--replica-preserve-commit-order=OFF'];
  options.push('--binlog-error-action=IGNORE_ERROR', '--binlog-expire-logs-auto-purge=OFF');
  const replica = await startTestReplica(source, { options });
  cleanups.push(() => replica.stop());
  assert.deepEqual(await readBinlogScope(replica.root), {
    role: 'replica',
    logReplicaUpdates: false,
    preserveCommitOrder: false,
    onBinlogError: 'IGNORE_ERROR',
    purgesByAge: false,
    onlyDatabases: '',
    ignoredDatabases: '',
  });
});
