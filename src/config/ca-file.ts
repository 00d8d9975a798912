import { readFileSync } from 'node:fs';
import { AppError } from '../domain/errors.ts';

/**
 * Reads the authorities that may have signed a server's certificate, as PEM text. At once, so that it
 * can stand where a client is built. @throws config `CaUnreadable`
 */
export function readCaFile(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  } catch (error) {
    throw caUnreadable(path, (error as NodeJS.ErrnoException).code ?? 'unknown reason', error);
  }
  throw caUnreadable(path, 'no certificate in PEM form is in it', undefined);
}

function caUnreadable(path: string, reason: string, cause: unknown): AppError {
  return new AppError({
    code: 'CaUnreadable',
    kind: 'config',
    message: `The CA file ${path} cannot be used (${reason}), so it cannot be proven which server answers.`,
    hint: 'Give the path of a PEM file with the certificate of the authority.',
    facts: { path, reason },
    ...(cause === undefined ? {} : { cause }),
  });
}
