import type { Frame } from '../binlog/frame.ts';

/** A frame around an event's body, for the decoders of the scanner. `file` is for messages. */
export function bodyFrame(
  file: string,
  type: number,
  bytes: Uint8Array,
  bodyStart: number,
  bodyEnd: number,
): Frame {
  return {
    file,
    type,
    bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    bodyStart,
    bodyEnd,
    bodyBytes: bodyEnd - bodyStart,
    offset: 0,
    endOffset: 0,
    timestamp: 0,
    serverId: 0,
    sizeBytes: bodyEnd - bodyStart,
    logPos: 0,
    flags: 0,
    extent: 'whole',
  };
}
