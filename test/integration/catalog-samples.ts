import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CatalogHead } from '../../src/catalog/chain.ts';
import { encodeEntry } from '../../src/catalog/entry-codec.ts';
import type { CatalogBody } from '../../src/domain/catalog-entry.ts';
import {
  parseBinlogName,
  parseRepositoryId,
  parseServerUuid,
  parseSha256,
} from '../../src/domain/identity.ts';
import { catalogKey } from '../../src/domain/object-keys.ts';

export const SERVER = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');
export const REPOSITORY = parseRepositoryId('11111111-2222-4333-8444-555555555555');
export const AT = '2026-11-20T10:32:05.123456Z';

/** Who appends in tests. */
export function by(writer: string, epoch = 0): { writer: string; epoch: number; at: string } {
  return { writer, epoch, at: AT };
}

/** The n-th binlog of a server, with GTIDs 10n-9 to 10n. */
export function segmentBody(n: number): CatalogBody {
  const name = `binlog.${String(n).padStart(6, '0')}`;
  return {
    kind: 'segment-archived',
    timeline: 1,
    segment: {
      serverUuid: SERVER,
      binlog: parseBinlogName(name),
      serverVersion: '9.7.4',
      createdAt: '2026-11-20T10:32:05Z',
      previousGtids: n === 1 ? '' : `${SERVER}:1-${10 * n - 10}`,
      gtids: `${SERVER}:${10 * n - 9}-${10 * n}`,
      transactions: 10,
      anonymousTransactions: 0,
      firstCommit: AT,
      lastCommit: AT,
      maxCommit: AT,
      clockInversions: 0,
      lengthBytes: 4242,
      sha256: parseSha256('ab'.repeat(32)),
      closedBy: 'rotate',
      eventDdl: 0,
      xaPrepares: 0,
      temporaryTables: 0,
    },
    object: {
      key: `mysql/${SERVER}/2026/11/${name}.abababababab.zst.enc`,
      lengthBytes: 777,
      sha256: parseSha256('cd'.repeat(32)),
      crc32: '01234567',
      compression: 'zstd',
      encryption: 'aws-encryption-sdk',
    },
  };
}

/** Writes a catalog of `length` entries into a folder, as its writers would have, without waiting for the disk. */
export async function layCatalog(directory: string, length: number): Promise<CatalogHead> {
  let head: CatalogHead | null = null;
  for (let sequence = 1; sequence <= length; sequence += 1) {
    const body: CatalogBody =
      sequence === 1
        ? { kind: 'repository-created', cluster: 'shop', createdBy: 'test' }
        : segmentBody(sequence - 1);
    const previous = head?.sha256 ?? null;
    const { bytes, sha256 } = encodeEntry(
      {
        format: 1,
        sequence,
        repositoryId: REPOSITORY,
        previous,
        writer: 'test',
        epoch: 0,
        writtenAt: AT,
        body,
      },
      null,
    );
    const file = join(directory, catalogKey(sequence));
    if (sequence === 1) await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
    head = { sequence, sha256 };
  }
  if (head === null) throw new Error('a catalog has at least one entry');
  return head;
}
