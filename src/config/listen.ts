import { AppError } from '../domain/errors.ts';

/** Where a server of ours listens. */
export interface ListenAddress {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

const LOOPBACK = '127.0.0.1';
const FORM = /^(?:(?:\[(?<six>[0-9A-Fa-f:.]+)\]|(?<host>[A-Za-z0-9._-]*)):)?(?<port>[0-9]{1,5})$/;

/** What `worker.listen` and `--listen` must look like. */
export const LISTEN_RULE = 'must be PORT or HOST:PORT (an IPv6 address in brackets)';

/** Parses `9464`, `:9464`, `10.0.0.5:9464` or `[::1]:9464`; without a host it is the loopback. Undefined for anything else. */
export function readListen(text: string): ListenAddress | undefined {
  const parts = FORM.exec(text)?.groups;
  const port = Number(parts?.['port']);
  if (parts === undefined || port > 65_535) return undefined;
  const host = parts['six'] ?? parts['host'] ?? '';
  return { host: host === '' ? LOOPBACK : host, port };
}

/** As `readListen`. @throws usage `BadListen` */
export function parseListen(text: string): ListenAddress {
  const address = readListen(text);
  if (address !== undefined) return address;
  throw new AppError({
    code: 'BadListen',
    kind: 'usage',
    message: `${JSON.stringify(text)} is no address to listen on: it ${LISTEN_RULE}.`,
    hint: 'For this host only: --listen 9464. For everyone who can reach it, say so: --listen 0.0.0.0:9464.',
    facts: { listen: text },
  });
}

/** For people: `127.0.0.1:9464`, `[::1]:9464`. */
export function formatListen({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
