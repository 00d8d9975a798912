import { assertNever } from '../domain/errors.ts';

/** What a MySQL account is used for. */
export type GrantRole = 'archiver' | 'clone' | 'backup' | 'applier' | 'purge';

/** One line of SHOW GRANTS: privileges, upper case, on an object such as `*.*` or `shop.*`. */
export interface Grant {
  readonly privileges: readonly string[];
  readonly on: string;
}

/** What an account lacks for its role, and what it has beyond it. Both sorted; both empty is right. */
export interface GrantReport {
  readonly missing: readonly string[];
  /** Dangerous beyond the role: with these a stolen password destroys data or history. */
  readonly tooMany: readonly string[];
}

/** Global privileges that each role needs. Tried one by one on a server. */
const NEEDED: Readonly<Record<GrantRole, readonly string[]>> = {
  archiver: ['REPLICATION SLAVE', 'REPLICATION CLIENT'],
  // SELECT: a table that the account cannot see would be left out of the check for other engines than InnoDB.
  clone: ['BACKUP_ADMIN', 'SELECT'],
  backup: [
    'SELECT',
    'SHOW VIEW',
    'TRIGGER',
    'EVENT',
    'PROCESS',
    'REPLICATION CLIENT',
    'BACKUP_ADMIN',
    'FLUSH_TABLES',
  ],
  applier: [
    'REPLICATION_APPLIER',
    'TRANSACTION_GTID_TAG',
    'SYSTEM_VARIABLES_ADMIN',
    'REPLICATION_SLAVE_ADMIN',
  ],
  purge: ['BINLOG_ADMIN', 'REPLICATION CLIENT'],
};

/** Harmless beside any role. */
const HARMLESS = new Set(['USAGE', 'REPLICATION CLIENT', 'SHOW DATABASES', 'PROCESS', 'EXECUTE']);

/** The privileges that a role needs on `*.*`. */
export function neededPrivileges(role: GrantRole): readonly string[] {
  return NEEDED[role];
}

/**
 * Parses a line of SHOW GRANTS; null for lines that name no privilege on an object (`GRANT PROXY`, roles).
 * Column lists are dropped: `SELECT (a, b)` counts as SELECT on that table.
 */
export function parseGrant(line: string): Grant | null {
  const match = /^GRANT (.+?) ON (?:TABLE |PROCEDURE |FUNCTION )?(\S+) TO /i.exec(line);
  if (match === null) return null;
  const [, list = '', on = ''] = match;
  const privileges = list
    .replaceAll(/\([^)]*\)/g, '')
    .split(',')
    .map((privilege) => privilege.trim().toUpperCase())
    .filter((privilege) => privilege !== '');
  return privileges[0] === 'PROXY' ? null : { privileges, on: on.replaceAll('`', '') };
}

/** Compares an account's grants with what its role needs, and no more. */
export function judgeGrants(grants: readonly Grant[], role: GrantRole): GrantReport {
  const held = new Set(grants.filter((grant) => grant.on === '*.*').flatMap((grant) => grant.privileges));
  const needed = new Set(allowedFor(role));
  const all = held.has('ALL PRIVILEGES');
  const missing = all ? [] : neededPrivileges(role).filter((privilege) => !held.has(privilege));
  const tooMany = [...held].filter((privilege) => !needed.has(privilege) && !HARMLESS.has(privilege));
  const elsewhere = grants
    .filter((grant) => grant.on !== '*.*')
    .flatMap((grant) => grant.privileges.map((privilege) => `${privilege} on ${grant.on}`))
    .filter((text) => !/^(USAGE|EXECUTE|SELECT) on /.test(text));
  return { missing: missing.toSorted(), tooMany: [...tooMany, ...elsewhere].toSorted() };
}

/** What a role may hold: what it needs, and what its usual companion on the same account needs. */
function allowedFor(role: GrantRole): readonly string[] {
  switch (role) {
    case 'archiver':
    case 'clone':
      // One account commonly archives and clones.
      return [...NEEDED.archiver, ...NEEDED.clone];
    case 'backup':
    case 'applier':
    case 'purge':
      return NEEDED[role];
    default:
      return assertNever(role);
  }
}

/** The statement that gives what is missing. */
export function grantStatement(missing: readonly string[], account: string): string {
  return `GRANT ${missing.join(', ')} ON *.* TO ${account}`;
}
