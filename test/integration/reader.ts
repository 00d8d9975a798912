import { FalloverReader } from '../../src/restoring/fallover.ts';
import type { SegmentHome } from '../../src/restoring/segment-stream.ts';

/** Reads from one store; there is none to fall over to. */
export function readerOf(home: SegmentHome): FalloverReader {
  return new FalloverReader([home], () => Promise.reject(new Error('nothing falls over')));
}
