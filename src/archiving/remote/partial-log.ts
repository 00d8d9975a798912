import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { lastEventBorder } from '../../binlog/borders.ts';
import { problemOf } from '../../binlog/problem.ts';
import { BinlogScanner } from '../../binlog/scanner.ts';
import { explainDiskFull } from '../../process/files.ts';

const CHUNK_BYTES = 1024 * 1024;

/**
 * How many bytes from its beginning this process has written of each part, by path. A power loss can leave holes
 * where bytes were written, which no checksum shows in a log without checksums; it leaves no process either.
 */
export type OwnBytes = Map<string, number>;

/** A log that passed a scanner up to some event. */
export interface SoundPart {
  /** Where the last event ends that is proven; 0 where none is. */
  readonly border: number;
  /** Stands at the border, and goes on from there. */
  readonly scanner: BinlogScanner;
}

/**
 * A log that arrives from its server. Bytes are written at their place in the log and never cut off, so that two
 * processes that fetch the same log, one of which is thought dead, write the same and hurt each other nowhere.
 * A crash leaves a file that ends anywhere; `soundPart` says how far it can be trusted.
 */
export class PartialLog {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #own: OwnBytes;

  private constructor(path: string, file: FileHandle, own: OwnBytes) {
    this.#path = path;
    this.#file = file;
    this.#own = own;
  }

  /** Opens what an earlier try left, or an empty file. */
  static async open(path: string, own: OwnBytes): Promise<PartialLog> {
    return new PartialLog(path, await open(path, constants.O_RDWR | constants.O_CREAT, 0o600), own);
  }

  /**
   * Finds the last event that is whole and right: by the headers, and then by every checksum and position up to
   * there. What lies behind it is written anew, and so is what another process wrote of a log without checksums.
   */
  async soundPart(binlog: string): Promise<SoundPart> {
    let border = await lastEventBorder(this.#file);
    for (;;) {
      const part = await this.#scan(binlog, border);
      const sound = Math.min(part.border, this.#vouched(part.scanner));
      if (sound === border) return part;
      border = sound;
    }
  }

  /** Up to where bytes are what was written. */
  #vouched(scanner: BinlogScanner): number {
    const { checksum } = scanner.report([]);
    return checksum === 'crc32' ? Number.POSITIVE_INFINITY : (this.#own.get(this.#path) ?? 0);
  }

  /** Writes chunks that follow each other at their place. @throws unavailable `DiskFull` */
  async write(chunks: readonly Uint8Array[], at: number): Promise<void> {
    try {
      let position = at;
      for (const chunk of chunks) {
        for (let done = 0; done < chunk.length; ) {
          const { bytesWritten } = await this.#file.write(chunk, done, chunk.length - done, position);
          done += bytesWritten;
          position += bytesWritten;
        }
      }
      const own = this.#own.get(this.#path) ?? 0;
      if (at <= own) this.#own.set(this.#path, Math.max(own, position));
    } catch (error) {
      throw explainDiskFull(error, this.#path);
    }
  }

  /** Makes sure that the log is on the disk, with exactly this length. */
  async settle(lengthBytes: number): Promise<void> {
    const { size } = await this.#file.stat();
    if (size > lengthBytes) await this.#file.truncate(lengthBytes);
    await this.#file.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** A scanner that has passed the first `end` bytes, or all up to the event that stopped it. */
  async #scan(binlog: string, end: number): Promise<SoundPart> {
    let border = 0;
    const event = ({ frame }: { readonly frame: { readonly endOffset: number } }): void => {
      border = frame.endOffset;
    };
    const scanner = new BinlogScanner({ file: binlog, visitor: { event } });
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = 0; at < end; ) {
      const { bytesRead } = await this.#file.read(buffer, 0, Math.min(CHUNK_BYTES, end - at), at);
      // Shorter than its border: another process made it anew.
      if (bytesRead === 0) break;
      at += bytesRead;
      try {
        scanner.push(buffer.subarray(0, bytesRead));
      } catch (error) {
        if (problemOf(error) === null) throw error;
        break;
      }
    }
    return { border, scanner };
  }
}
