import type { Archive } from '../../restoring/archive.ts';
import type { Fallover } from '../../restoring/fallover.ts';
import type { Output } from '../output.ts';

/** Says which stores could not be read, and what was left out. */
export function sayPassedOver(output: Pick<Output, 'say'>, passedOver: readonly string[]): void {
  for (const reason of passedOver) output.say(`passed over store ${reason}`);
}

/** Says what was read from another store than planned. */
export function sayFallovers(output: Pick<Output, 'say'>, fallovers: readonly Fallover[]): void {
  for (const { key, from, to, reason } of fallovers) {
    output.say(`read ${key} from ${to} in the place of ${from}: ${reason}`);
  }
}

/** True where what was read is exact, and yet somebody has to look after a store. */
export function isDegraded({ passedOver, fallovers }: Pick<Archive, 'passedOver' | 'fallovers'>): boolean {
  return passedOver.length > 0 || fallovers.length > 0;
}
