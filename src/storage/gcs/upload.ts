import { randomBytes } from 'node:crypto';
import { BodyDigest } from '../body-digest.ts';
import { type RunningChecksum, runningChecksum } from '../checksum.ts';
import type { CreateOptions, CreateOutcome } from '../object-store.ts';
import { type Cut, cutParts, sendCut } from '../parts.ts';
import { type Bucket, persistently, send, unexpected } from './bucket.ts';
import { textOf } from './http.ts';
import { putChunks } from './resumable.ts';
import { checkCreated, crcOf, orExists, resourceOf, type Upload, uploadUrl } from './task.ts';

/** Size of the chunks of an upload, and of the largest object that goes in one request; a multiple of 256 KiB. */
export const CHUNK_BYTES = 6 * 1024 * 1024;

/**
 * Creates an object with `ifGenerationMatch=0`: in one request where it fits into one chunk, else by
 * a resumable upload in chunks. Either way the CRC-32C of the whole goes with it, so that the server
 * refuses other bytes.
 * @throws what the body throws; refused, unavailable, config, corrupt `BodyLengthDiffers`, `StoredDiffers`
 */
export async function upload(
  bucket: Bucket,
  objectKey: string,
  body: AsyncIterable<Uint8Array>,
  options: CreateOptions,
): Promise<CreateOutcome> {
  const crc32c = await runningChecksum('crc32c');
  const task: Upload = { bucket, objectKey, options, digest: new BodyDigest(), crc32c };
  const parts = cutParts(passing(task.digest.watch(body, options.signal), crc32c), inTwoBlocks(options));
  return sendCut(parts, {
    options,
    digest: task.digest,
    whole: (bytes) => putWhole(task, bytes),
    parts: (first, rest) => putChunks(task, first, rest),
  });
}

/**
 * The chunks of one upload take turns in two blocks of memory: while one is sent, the next is
 * gathered, and the one before is with the store. A small object has no more than it needs.
 */
function inTwoBlocks({ lengthBytes }: CreateOptions): Cut {
  const blocks: Buffer[] = [];
  const blockOf = (number: number): Buffer => {
    const block =
      blocks[number % 2] ?? Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, lengthBytes ?? Infinity));
    blocks[number % 2] = block;
    return block;
  };
  return { sizeOf: () => CHUNK_BYTES, blockOf };
}

async function* passing(
  body: AsyncIterable<Uint8Array>,
  crc32c: RunningChecksum,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    crc32c.update(chunk);
    yield chunk;
  }
}

async function putWhole(task: Upload, bytes: Buffer): Promise<'created' | 'exists'> {
  const { bucket, objectKey, options, digest } = task;
  digest.checkLength(objectKey, options.lengthBytes);
  const sending = () => persistently(bucket, options.signal, () => putOnce(task, bytes));
  const status = await orExists(task, sending);
  if (status === 'created') options.onProgress?.(bytes.length);
  return status;
}

/** Sends metadata and bytes in one request. Source: RFC 2387; JSON API, "Multipart upload". */
async function putOnce(task: Upload, bytes: Buffer): Promise<'created'> {
  const { bucket, options } = task;
  const boundary = randomBytes(24).toString('hex');
  const resource = JSON.stringify({ ...resourceOf(task), crc32c: crcOf(task) });
  const head = `--${boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n${resource}\r\n--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`;
  const answer = await send(bucket, {
    method: 'POST',
    url: uploadUrl(task, 'multipart'),
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: [Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)],
    signal: options.signal,
  });
  if (answer.statusCode !== 200) throw await unexpected(answer);
  checkCreated(task, await textOf(answer));
  return 'created';
}
