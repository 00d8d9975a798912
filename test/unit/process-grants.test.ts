import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { grantStatement, judgeGrants, parseGrant } from '../../src/mysql/grants.ts';

const parsed = (...lines: string[]) => lines.map(parseGrant).filter((grant) => grant !== null);

test('a line of SHOW GRANTS becomes privileges on an object', () => {
  assert.deepEqual(parseGrant('GRANT SELECT, REPLICATION SLAVE ON *.* TO `a`@`%` WITH GRANT OPTION'), {
    privileges: ['SELECT', 'REPLICATION SLAVE'],
    on: '*.*',
  });
  assert.deepEqual(parseGrant('GRANT SELECT (`a`, `b`), INSERT ON `shop`.`t` TO `a`@`%`'), {
    privileges: ['SELECT', 'INSERT'],
    on: 'shop.t',
  });
  assert.deepEqual(parseGrant('GRANT EXECUTE ON PROCEDURE `pitrail`.`rotate_binlog` TO `a`@`%`'), {
    privileges: ['EXECUTE'],
    on: 'pitrail.rotate_binlog',
  });
  assert.equal(parseGrant("GRANT PROXY ON ''@'' TO 'root'@'localhost' WITH GRANT OPTION"), null);
  assert.equal(parseGrant('GRANT `role`@`%` TO `a`@`%`'), null);
});

test('what an archiver lacks and what it has beyond its role is named', () => {
  const right = parsed('GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `a`@`%`');
  assert.deepEqual(judgeGrants(right, 'archiver'), { missing: [], tooMany: [] });
  const wrong = parsed(
    'GRANT RELOAD, REPLICATION CLIENT ON *.* TO `a`@`%`',
    'GRANT DELETE ON `shop`.* TO `a`@`%`',
  );
  assert.deepEqual(judgeGrants(wrong, 'archiver'), {
    missing: ['REPLICATION SLAVE'],
    tooMany: ['DELETE on shop.*', 'RELOAD'],
  });
  assert.deepEqual(judgeGrants(parsed('GRANT USAGE ON *.* TO `a`@`%`'), 'archiver').missing, [
    'REPLICATION CLIENT',
    'REPLICATION SLAVE',
  ]);
});

test('ALL PRIVILEGES lacks nothing and is too many; a privilege on one schema is none on the server', () => {
  const all = parsed('GRANT ALL PRIVILEGES ON *.* TO `a`@`%`');
  assert.deepEqual(judgeGrants(all, 'clone'), { missing: [], tooMany: ['ALL PRIVILEGES'] });
  const narrow = parsed('GRANT SELECT ON `shop`.* TO `a`@`%`', 'GRANT BACKUP_ADMIN ON *.* TO `a`@`%`');
  assert.ok(judgeGrants(narrow, 'backup').missing.includes('SELECT'));
});

test('what is missing is printed as the statement that gives it', () => {
  const statement = grantStatement(['BACKUP_ADMIN', 'SELECT'], "'pitrail'@'%'");
  assert.equal(statement, "GRANT BACKUP_ADMIN, SELECT ON *.* TO 'pitrail'@'%'");
});
