import type { Ratio } from './measure.ts';

/** Everything that one run measured: parts by name, each of ratios, seconds and bytes. */
export interface Figures {
  readonly binlogBytes: number;
  readonly cores: number;
  readonly parts: Readonly<Record<string, unknown>>;
}

/** The figures as a table: a row for each ratio, with its spread, and for each time and size. */
export function describeFigures({ binlogBytes, cores, parts }: Figures): string {
  const rows = Object.entries(parts).flatMap(([part, figures]) => rowsOf(part, figures));
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  return [`binlog of ${(binlogBytes / 1e6).toFixed(0)} MB, ${cores} cores`, ...lines].join('\n');
}

function rowsOf(name: string, value: unknown): [string, string][] {
  if (isRatio(value)) return [[name, describeRatio(value)]];
  if (typeof value === 'number') return [[name, describeNumber(name, value)]];
  if (typeof value === 'string') return [[name, value]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => rowsOf(`${name}.${key}`, inner));
}

function describeRatio({ median, lowest, highest, rounds }: Ratio): string {
  return `${median.toFixed(2)} ×  (${lowest.toFixed(2)} to ${highest.toFixed(2)}, ${rounds} rounds)`;
}

function describeNumber(name: string, value: number): string {
  if (/bytes$/i.test(name)) return `${(value / 1e6).toFixed(0)} MB`;
  return name.includes('.seconds') ? `${value.toFixed(2)} s` : String(value);
}

function isRatio(value: unknown): value is Ratio {
  return typeof value === 'object' && value !== null && 'median' in value && 'rounds' in value;
}
