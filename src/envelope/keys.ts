import { createHmac, randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RawAesKeyringNode, RawAesWrappingSuiteIdentifier } from '@aws-crypto/raw-aes-keyring-node';
import { AppError } from '../domain/errors.ts';

const KEY_BYTES = 32;
/** A key file is 32 to 66 bytes; more is not a key. */
const MAX_KEY_FILE_BYTES = 1024;
/** Name space of raw keys in the head of a message. */
export const RAW_KEY_NAMESPACE = 'pitrail-key-file';

/**
 * What seals and opens. The bytes of a raw key live in the keyring's closures only, so that no
 * inspection, JSON or error text shows them.
 */
export type EnvelopeKey =
  | {
      readonly kind: 'raw-aes';
      /** 16 hexadecimal digits that name the key without telling it; stands in the head of each message. */
      readonly keyId: string;
      readonly keyring: RawAesKeyringNode;
    }
  /** Compression only: chosen by `encryption: none`, never by default. */
  | { readonly kind: 'none' };

/** The choice not to encrypt. */
export function noEncryption(): EnvelopeKey {
  return { kind: 'none' };
}

/**
 * Loads an AES-256 key from a file: 32 raw bytes, 64 hexadecimal digits, or base64. The file itself
 * (behind any symbolic link) must belong to the running user and be 0600 or stricter.
 *
 * @throws config `KeyFileMissing`, `KeyFileMalformed`; refused `KeyFileExposed`
 */
export async function loadKeyFile(path: string): Promise<EnvelopeKey> {
  const file = await openKeyFile(path);
  try {
    // Checked on the open descriptor: what is read is what was checked.
    checkExposure(path, await file.stat());
    const buffer = Buffer.alloc(MAX_KEY_FILE_BYTES + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    const key = decodeKey(buffer.subarray(0, bytesRead));
    if (key === undefined) throw malformed(path, bytesRead);
    buffer.fill(0);
    return rawAesKey(key);
  } finally {
    await file.close();
  }
}

/**
 * Creates a key file with a new random key: 64 hexadecimal digits, mode 0600, on disk when this
 * returns. A file that exists is never touched.
 *
 * @throws refused `KeyFileExists`; unavailable `KeyFileUnwritable`
 */
export async function generateKeyFile(path: string): Promise<EnvelopeKey> {
  const key = randomBytes(KEY_BYTES);
  const file = await createKeyFile(path);
  try {
    await file.writeFile(`${key.toString('hex')}\n`);
    await file.sync();
  } catch (error) {
    await unlink(path);
    throw unwritable(path, error);
  } finally {
    await file.close();
  }
  // Without this a crash may forget the name of a key that has sealed objects already.
  const folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
  return rawAesKey(key);
}

/** Makes a key of 32 bytes, which are wiped. */
function rawAesKey(bytes: Buffer): EnvelopeKey {
  // A pseudo-random function of the key: names it, and tells nothing of it.
  const keyId = createHmac('sha256', bytes).update('pitrail key id 1').digest('hex').slice(0, 16);
  const keyring = new RawAesKeyringNode({
    keyName: keyId,
    keyNamespace: RAW_KEY_NAMESPACE,
    // The keyring demands an array of its own, not a view into Node's pool.
    unencryptedMasterKey: Uint8Array.from(bytes),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  bytes.fill(0);
  return { kind: 'raw-aes', keyId, keyring };
}

function decodeKey(content: Buffer): Buffer | undefined {
  if (content.length === KEY_BYTES) return Buffer.from(content);
  const text = content.toString('latin1').trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex');
  if (/^[A-Za-z0-9+/]{43}=?$/.test(text)) return Buffer.from(text, 'base64');
  return undefined;
}

async function openKeyFile(path: string): Promise<FileHandle> {
  try {
    // Not blocking, so that a named pipe is refused and not waited for.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new AppError({
      code: 'KeyFileMissing',
      kind: 'config',
      message: `The key file ${path} cannot be read (${(error as NodeJS.ErrnoException).code}): nothing can be sealed or opened.`,
      hint: 'Put the path of the key into encryption.keyFile, readable by the user who runs this.',
      facts: { path },
      cause: error,
    });
  }
}

function checkExposure(path: string, stats: Stats): void {
  const mode = stats.mode & 0o7777;
  const user = process.geteuid?.() ?? stats.uid;
  const reason = !stats.isFile()
    ? 'is not a regular file'
    : stats.uid !== user
      ? `belongs to user ${stats.uid}, not to ${user} who runs this`
      : (mode & 0o177) !== 0
        ? `has mode ${mode.toString(8).padStart(4, '0')}, so others can read or change it`
        : undefined;
  if (reason === undefined) return;
  throw new AppError({
    code: 'KeyFileExposed',
    kind: 'refused',
    message: `The key file ${path} ${reason}: the key may be known to others and is not used.`,
    hint: `chmod 0600 and chown the file to the user who runs this. If others could read it, make a new key.`,
    facts: { path, mode: mode.toString(8), uid: stats.uid },
  });
}

function malformed(path: string, lengthBytes: number): AppError {
  return new AppError({
    code: 'KeyFileMalformed',
    kind: 'config',
    message: `The key file ${path} holds no AES-256 key (${lengthBytes} bytes read): nothing can be sealed or opened.`,
    hint: 'A key is 32 raw bytes, 64 hexadecimal digits, or base64 of 32 bytes.',
    facts: { path, lengthBytes },
  });
}

async function createKeyFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(path, error);
    throw new AppError({
      code: 'KeyFileExists',
      kind: 'refused',
      message: `${path} exists already: a new key over an old one would make all that the old one sealed unreadable.`,
      hint: 'Use the key that is there, or choose another path.',
      facts: { path },
    });
  }
}

function unwritable(path: string, cause: unknown): AppError {
  return new AppError({
    code: 'KeyFileUnwritable',
    kind: 'unavailable',
    message: `The key file ${path} cannot be written (${(cause as NodeJS.ErrnoException).code}): no key was made.`,
    hint: 'Choose a folder that exists, with free space, writable by the user who runs this.',
    facts: { path },
    cause,
  });
}
