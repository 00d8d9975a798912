import type { Frame } from './frame.ts';

const NOTHING = new Uint8Array(0);

/** A DataView over the same bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The one frame of a framer, filled anew for each event. What few look at is read from the
 * header when it is asked for.
 */
export class EventFrame implements Frame {
  readonly file: string;
  offset: number;
  endOffset: number;
  type = 0;
  sizeBytes = 0;
  bytes: Uint8Array = NOTHING;
  view: DataView = viewOf(NOTHING);
  bodyStart = 0;
  bodyEnd = 0;
  bodyBytes = 0;
  extent: 'whole' | 'prefix' = 'whole';
  /** Index of the header in `view`. */
  headerStart = 0;

  constructor(file: string, startOffset: number) {
    this.file = file;
    this.offset = startOffset;
    this.endOffset = startOffset;
  }

  get timestamp(): number {
    return this.view.getUint32(this.headerStart, true);
  }

  get serverId(): number {
    return this.view.getUint32(this.headerStart + 5, true);
  }

  get logPos(): number {
    return this.view.getUint32(this.headerStart + 13, true);
  }

  get flags(): number {
    return this.view.getUint16(this.headerStart + 17, true);
  }
}
