import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import type { CatalogHead } from '../../src/catalog/chain.ts';
import { type EncodedEntry, encodeEntry } from '../../src/catalog/entry-codec.ts';
import type { CatalogBody } from '../../src/domain/catalog-entry.ts';
import {
  parseBinlogName,
  parseRepositoryId,
  parseServerUuid,
  parseSha256,
  type Sha256,
} from '../../src/domain/identity.ts';
import { catalogKey, catalogPackKey } from '../../src/domain/object-keys.ts';

export const SERVER = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');
export const OTHER_SERVER = parseServerUuid('4e11fa47-71ca-11e1-9e33-c80aa9429562');
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

/** A handoff from `shop-1` to another source, which goes on on timeline 1. */
export function handoffBody(source: string, serverUuid = OTHER_SERVER): CatalogBody {
  return {
    kind: 'handoff',
    route: {
      kind: 'source',
      from: { source: 'shop-1', serverUuid: SERVER },
      to: { source, serverUuid },
      continuity: { kind: 'continues', timeline: 1, baselineGtids: '' },
    },
    reason: 'operator',
    detail: 'asked for',
  };
}

/** The entries of a catalog in order, as their writers would have made them. */
function* entries(length: number): Generator<EncodedEntry> {
  let previous: Sha256 | null = null;
  for (let sequence = 1; sequence <= length; sequence += 1) {
    const body: CatalogBody =
      sequence === 1
        ? { kind: 'repository-created', cluster: 'shop', createdBy: 'test' }
        : segmentBody(sequence - 1);
    const encoded: EncodedEntry = encodeEntry(
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
    previous = encoded.sha256;
    yield encoded;
  }
}

/** Writes the single entries of a catalog into a folder, without waiting for the disk. */
export async function layCatalog(directory: string, length: number): Promise<CatalogHead> {
  await mkdir(join(directory, 'catalog'), { recursive: true });
  let head: CatalogHead | null = null;
  for (const { entry, bytes, sha256 } of entries(length)) {
    await writeFile(join(directory, catalogKey(entry.sequence)), bytes);
    head = { sequence: entry.sequence, sha256 };
  }
  if (head === null) throw new Error('a catalog has at least one entry');
  return head;
}

/** Writes a catalog of `packs` times 1000 entries as packs only, which is all that a reader needs. */
export async function layPacks(directory: string, packs: number): Promise<void> {
  await mkdir(join(directory, 'catalog', 'packs'), { recursive: true });
  let lines: Uint8Array[] = [];
  for (const { entry, bytes } of entries(1000 * packs)) {
    lines.push(bytes);
    if (lines.length < 1000) continue;
    await writeFile(
      join(directory, catalogPackKey(entry.sequence / 1000)),
      zstdCompressSync(Buffer.concat(lines)),
    );
    lines = [];
  }
}
