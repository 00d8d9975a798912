import { AppError } from '../domain/errors.ts';

/** What a worker process does; each role polls task queues of its own. */
export type Role =
  | { readonly kind: 'control' }
  | { readonly kind: 'store' }
  | { readonly kind: 'host'; readonly host: string }
  | { readonly kind: 'restore' };

/** The host that sources without `host` in pitrail.yaml belong to. */
export const LOCAL_HOST = 'local';

/** What a worker does where nobody says otherwise: everything. */
export const ALL_ROLES: readonly Role[] = [
  { kind: 'control' },
  { kind: 'store' },
  { kind: 'host', host: LOCAL_HOST },
  { kind: 'restore' },
];

const HOST_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/** Parses `control,store,host:NAME,restore`. @throws usage */
export function parseRoles(text: string): readonly Role[] {
  const roles = text.split(',').map((part) => parseRole(part.trim()));
  const names = roles.map(formatRole);
  if (new Set(names).size === names.length) return roles;
  throw badRole(text, 'a role stands in it twice');
}

/** Prints a role as `parseRoles` reads it. */
export function formatRole(role: Role): string {
  return role.kind === 'host' ? `host:${role.host}` : role.kind;
}

function parseRole(text: string): Role {
  if (text === 'control' || text === 'store' || text === 'restore') return { kind: text };
  const [kind, host] = text.split(':', 2);
  if (kind === 'host' && host !== undefined && HOST_NAME.test(host)) return { kind: 'host', host };
  throw badRole(text, 'it is not a role');
}

function badRole(text: string, why: string): AppError {
  return new AppError({
    code: 'UnknownRole',
    kind: 'usage',
    message: `${JSON.stringify(text)} does not say what the worker shall do: ${why}.`,
    hint: 'Roles are control, store, host:NAME and restore, separated by commas.',
    facts: { text },
  });
}
