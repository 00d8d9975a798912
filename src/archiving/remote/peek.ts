import { AppError } from '../../domain/errors.ts';
import type { BinlogName } from '../../domain/identity.ts';
import { isNotServed } from '../../mysql/dump/errors.ts';
import { type PeekResult, peekChunks } from '../peek.ts';
import type { ReadRemote } from './reader.ts';

const TIMEOUT_MS = 2 * 60_000;

/** What the beginning of a log on the server says, where it is still there. */
export type RemotePeek = PeekResult | { readonly kind: 'gone' };

/**
 * Reads the beginning of a log as the server sends it.
 * @throws unavailable where the server cannot be reached or stops sending; refused where access is denied
 */
export async function peekRemote(read: ReadRemote, binlog: BinlogName): Promise<RemotePeek> {
  try {
    return await peekChunks(read(binlog, 0, AbortSignal.timeout(TIMEOUT_MS)), binlog);
  } catch (error) {
    if (error instanceof AppError && error.code === 'BinlogNotOnServer') return { kind: 'gone' };
    if (error instanceof AppError && isNotServed(error)) return { kind: 'corrupt', error };
    throw error;
  }
}
