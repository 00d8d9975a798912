import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { AppError } from '../domain/errors.ts';

/**
 * Loads the Ed25519 key that signs catalog entries: PEM, PKCS#8, in a file that only its owner reads.
 * @throws refused where others may read it, config where it is absent or another kind of key
 */
export async function loadSigningKey(path: string): Promise<KeyObject> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0) throw tooOpen(path, mode);
    return ed25519(path, createPrivateKey, await file.readFile('utf8'));
  } finally {
    await file.close();
  }
}

/** Loads the public key that every entry's signature must satisfy: PEM, SPKI. @throws config */
export async function loadTrustedKey(path: string): Promise<KeyObject> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, error);
  });
  return ed25519(path, createPublicKey, text);
}

/** Makes a pair of keys in two new files; the private one with mode 0600. @throws config where one exists */
export async function generateSigningKeys(privatePath: string, publicPath: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const secret = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const open = publicKey.export({ type: 'spki', format: 'pem' });
  for (const [path, text, mode] of [
    [privatePath, secret, 0o600],
    [publicPath, open, 0o644],
  ] as const) {
    await writeFile(path, text, { flag: 'wx', mode }).catch((error: unknown) => {
      throw unreadable(path, error);
    });
  }
}

function ed25519(path: string, parse: (pem: string) => KeyObject, text: string): KeyObject {
  let key: KeyObject | null;
  try {
    key = parse(text);
  } catch {
    // OpenSSL's reason may quote the file, which may hold a secret; the path is enough.
    key = null;
  }
  if (key?.asymmetricKeyType === 'ed25519') return key;
  throw new AppError({
    code: 'NotAnEd25519Key',
    kind: 'config',
    message: `${path} holds no Ed25519 key in PEM form, so catalog entries can be neither signed nor checked with it.`,
    hint: 'Make one: openssl genpkey -algorithm ed25519 -out KEY; openssl pkey -in KEY -pubout -out KEY.pub',
    facts: { path },
  });
}

function unreadable(path: string, cause: unknown): AppError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown reason';
  return new AppError({
    code: 'SigningKeyUnreadable',
    kind: 'config',
    message: `The catalog's key file ${path} cannot be used (${code}), so catalog entries can be neither signed nor checked.`,
    facts: { path, reason: code },
    cause,
  });
}

function tooOpen(path: string, mode: number): AppError {
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  return new AppError({
    code: 'SigningKeyTooOpen',
    kind: 'refused',
    message: `${path} has mode ${octal}: others on this host may read the key that signs the catalog, so it is not used.`,
    hint: `Run: chmod 0600 ${path}`,
    facts: { path, mode: octal },
  });
}
