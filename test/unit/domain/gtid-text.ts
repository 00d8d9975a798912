import type { Random } from './random.ts';

export const UUIDS = [
  '00000000-71ca-11e1-9e33-c80aa9429562',
  '3e11fa47-71ca-11e1-9e33-c80aa9429562',
  'ffffffff-ffff-11e1-9e33-c80aa9429562',
] as const;
const TAGS = ['', '', 'a', 'ab', 'a_b', 'a0', '_z', 'tag', 'x2345678901234567890123456789012'] as const;

const HIGHEST = 2n ** 63n - 2n;

function interval(random: Random, span: number, base: bigint): string {
  const from = base + BigInt(1 + random.int(span));
  const to = from + BigInt(random.int(5));
  return random.once(2) || to > HIGHEST ? `${from}` : `${from}-${to}`;
}

/**
 * A set as a careless person might write it: repeated UUIDs, overlaps, odd order, case and
 * white space. Numbers lie between `base` and `base + span`.
 */
export function messySet(random: Random, span: number, base = 0n): string {
  const entries: string[] = [];
  for (let n = random.int(5); n > 0; n -= 1) {
    const uuid = random.pick(UUIDS);
    const parts = [random.once(2) ? uuid : uuid.toUpperCase()];
    for (let groups = 1 + random.int(3); groups > 0; groups -= 1) {
      const tag = random.pick(TAGS);
      if (tag !== '') parts.push(random.once(2) ? tag : tag.toUpperCase());
      for (let k = 1 + random.int(4); k > 0; k -= 1) parts.push(interval(random, span, base));
    }
    entries.push(parts.join(random.once(4) ? ' :\n' : ':'));
  }
  return entries.join(random.pick([',', ',\n', ' , ']));
}
