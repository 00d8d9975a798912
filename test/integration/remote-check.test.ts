import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CheckFinding, exitOf } from '../../src/cli/checks/finding.ts';
import { checkSource } from '../../src/cli/checks/source.ts';
import type { SourceConfig } from '../../src/config/types.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { createUser } from '../support/mysql-users.ts';
import { type OpenSource, openRemoteSource } from './archive-source.ts';

let mysql: TestMysql;
let folder: TestFolder;
let remote: OpenSource;

before(async () => {
  mysql = await startTestMysql();
  folder = await testFolder('pt-check');
  remote = await openRemoteSource(mysql, { host: '127.0.0.1', port: mysql.port, tls: 'required' });
});
after(async () => {
  await remote.close();
  await folder.remove();
  await mysql.stop();
});

async function check(changes: Partial<SourceConfig> = {}): Promise<readonly CheckFinding[]> {
  const { source, cluster } = remote.context;
  const archive = { ...cluster.archive, rotateSeconds: 0 };
  return (await checkSource('c', { ...source, ...changes } as SourceConfig, archive)).findings;
}

function has(findings: readonly CheckFinding[], status: CheckFinding['status'], words: RegExp): void {
  assert.ok(
    findings.some((finding) => finding.status === status && words.test(finding.message)),
    `${status} ${words}: ${JSON.stringify(findings, null, 1)}`,
  );
}

test('check reads as a replica, and says what of a remote source works and what cannot', async () => {
  const findings = await check();
  assert.equal(exitOf(findings), 0, JSON.stringify(findings));
  has(findings, 'ok', /sends its binlogs to source1 \(server_id \d+\)/);
  has(findings, 'ok', /has the privileges it needs, and no more/);
  has(findings, 'ok', /staging.* takes up to 4\.00 GiB/);
  has(findings, 'warning', /base backup by clone needs the host/);
});

test('an account that may not read as a replica fails with the privilege named', async () => {
  const { user, password } = await createUser(mysql, 'listing', ['REPLICATION CLIENT']);
  const file = join(folder.path, 'password');
  await writeFile(file, password, { mode: 0o600 });
  const findings = await check({ user, password: { file } });
  has(findings, 'failed', /listing lacks REPLICATION SLAVE/);
  has(findings, 'failed', /denies this to user 'listing'.*REPLICATION SLAVE/);
});
