import { type GrantRole, neededPrivileges } from '../../src/mysql/grants.ts';
import { canarySecret } from './canary.ts';
import type { TestMysql } from './mysql.ts';

export interface TestUser {
  readonly user: string;
  /** A canary: it must show nowhere. */
  readonly password: string;
}

/** Creates an account that may do exactly `privileges` on everything, from anywhere. */
export async function createUser(
  server: TestMysql,
  user: string,
  privileges: readonly string[],
): Promise<TestUser> {
  const password = canarySecret();
  await server.run(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
  if (privileges.length > 0) await server.run(`GRANT ${privileges.join(', ')} ON *.* TO '${user}'@'%'`);
  return { user, password };
}

/** Creates an account with the least privileges of its roles: `createRoleUser(server, 'pitrail', 'archiver', 'clone')`. */
export function createRoleUser(
  server: TestMysql,
  user: string,
  ...roles: readonly GrantRole[]
): Promise<TestUser> {
  return createUser(server, user, [...new Set(roles.flatMap(neededPrivileges))]);
}

/**
 * Gives an account the one way to rotate binlogs that needs no RELOAD: a procedure of root's that runs
 * FLUSH BINARY LOGS, and EXECUTE on it. Gives back the statement that rotates.
 */
export async function allowRotation(server: TestMysql, { user }: TestUser): Promise<string> {
  await server.run(
    'CREATE DATABASE IF NOT EXISTS pitrail',
    'CREATE PROCEDURE IF NOT EXISTS pitrail.rotate_binlog() SQL SECURITY DEFINER FLUSH BINARY LOGS',
    `GRANT EXECUTE ON PROCEDURE pitrail.rotate_binlog TO '${user}'@'%'`,
  );
  return 'CALL pitrail.rotate_binlog()';
}
