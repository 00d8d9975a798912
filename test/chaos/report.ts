import type { Scenario, ScenarioResult } from './scenario.ts';

const HEAD = ['scenario', 'what is broken', 'lost', 'recovered after', 'which is when', 'invariants', 'ok'];

/** The results as a table in Markdown, as it stands in docs/reliability.md. */
export function tableOf(results: readonly ScenarioResult[], scenarios: readonly Scenario[]): string {
  const rows = results.map((result) => {
    const fault = scenarios.find(({ name }) => name === result.scenario)?.fault ?? '';
    const held = result.invariants.filter(({ ok }) => ok).length;
    return [
      result.scenario,
      fault,
      String(result.lostTransactions),
      `${result.recoverySeconds.toFixed(1)} s`,
      result.recovered,
      `${held} of ${result.invariants.length}`,
      result.ok ? 'yes' : 'NO',
    ];
  });
  const widths = HEAD.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(HEAD), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
