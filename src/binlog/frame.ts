import type { Place } from './problem.ts';

/**
 * One event as the framer hands it out. The object and its bytes are used again for the next
 * event: a sink copies what it keeps.
 */
export interface Frame extends Place {
  readonly file: string;
  readonly offset: number;
  /** Offset just after the event; may exceed 2^32. */
  readonly endOffset: number;
  readonly type: number;
  readonly timestamp: number;
  readonly serverId: number;
  readonly sizeBytes: number;
  readonly logPos: number;
  readonly flags: number;
  /** Holds the event's body from `bodyStart` to `bodyEnd`, without header and checksum. */
  readonly bytes: Uint8Array;
  /** Over all of `bytes`' buffer. */
  readonly view: DataView;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** Length of the whole body, also where only its beginning is at hand. */
  readonly bodyBytes: number;
  /** `prefix`: the event is large, and the body here is only its beginning. */
  readonly extent: 'whole' | 'prefix';
}

/** Where the framer puts events. */
export interface FrameSink {
  /** Called when the whole event has passed and its checksum is right. */
  event(frame: Frame): void;
  /** Called for each part of a large event's body, in order, before `event`; not verified yet. */
  piece(frame: Frame, bytes: Uint8Array, start: number, end: number): void;
}

/**
 * What holds for headers: in a `file` each event says where it ends, and none carries a mark of
 * replication; inside a `payload` positions mean nothing.
 */
export type FrameSource = 'file' | 'payload';
