import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { inspect } from 'node:util';
import { AppError } from '../domain/errors.ts';

/** Where a secret is kept. The configuration never holds the secret itself. */
export type SecretRef = { readonly file: string } | { readonly env: string };

/** A password or key; a larger file is something else. */
const MAX_SECRET_BYTES = 64 * 1024;

/** A secret that no log, JSON or inspection shows; only `reveal` gives it, at the place where it is used. */
export class SecretText {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}

/** For people: `file /etc/pitrail/password` or `environment variable NAME`. */
export function describeSecret(ref: SecretRef): string {
  return 'file' in ref ? `file ${ref.file}` : `environment variable ${ref.env}`;
}

/**
 * Reads a secret where its reference points. A line feed at the end of a file is not part of it.
 * @throws config where it is absent or empty, refused `SecretFileExposed` where others may read the file
 */
export async function readSecret(ref: SecretRef, env: NodeJS.ProcessEnv = process.env): Promise<SecretText> {
  const text = 'file' in ref ? await readSecretFile(ref.file) : env[ref.env];
  if (text !== undefined && text !== '') return new SecretText(text);
  throw new AppError({
    code: 'SecretMissing',
    kind: 'config',
    message: `The ${describeSecret(ref)} ${text === '' ? 'is empty' : 'is not set'}, so the secret it should hold cannot be used.`,
    hint:
      'file' in ref ? `Write the secret into ${ref.file}, mode 0600.` : `Set ${ref.env} in the environment.`,
    facts: { ...ref },
  });
}

async function readSecretFile(path: string): Promise<string> {
  // Not blocking, so that a named pipe is refused and not waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    // Checked on the open descriptor: what is read is what was checked.
    const stats = await file.stat();
    if (!stats.isFile() || stats.size > MAX_SECRET_BYTES) throw noSecretFile(path);
    if ((stats.mode & 0o077) !== 0) throw exposed(path, stats.mode);
    return (await file.readFile('utf8')).replace(/\r?\n$/, '');
  } finally {
    await file.close();
  }
}

function unreadable(path: string, cause: unknown): AppError {
  const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown reason';
  return new AppError({
    code: 'SecretUnreadable',
    kind: 'config',
    message: `The secret file ${path} cannot be read (${reason}), so the secret in it cannot be used.`,
    hint: 'Create it, readable by the user who runs this and by nobody else (mode 0600).',
    facts: { file: path, reason },
    cause,
  });
}

function noSecretFile(path: string): AppError {
  return new AppError({
    code: 'SecretUnreadable',
    kind: 'config',
    message: `${path} is no regular file of at most ${MAX_SECRET_BYTES} bytes, so it is not taken for a secret.`,
    facts: { file: path },
  });
}

function exposed(path: string, mode: number): AppError {
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  return new AppError({
    code: 'SecretFileExposed',
    kind: 'refused',
    message: `The secret file ${path} has mode ${octal}: others on this host may read it, so it is not used.`,
    hint: `Run: chmod 0600 ${path}. If others could read it, change the secret.`,
    facts: { file: path, mode: octal },
  });
}
