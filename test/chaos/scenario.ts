/** One thing that must hold after a scenario, and what was seen of it. */
export interface Invariant {
  readonly name: string;
  readonly ok: boolean;
  /** What was compared with what, in a sentence. */
  readonly detail: string;
}

/** What a scenario came to. */
export interface ScenarioResult {
  readonly scenario: string;
  /** Transactions that were called archived and cannot be restored. */
  readonly lostTransactions: number;
  /** From the fault to what the scenario waits for, as `recovered` says; to a tenth of a second. */
  readonly recoverySeconds: number;
  /** What counts as recovered. */
  readonly recovered: string;
  readonly invariants: readonly Invariant[];
  readonly ok: boolean;
}

/** What a scenario finds out; the harness makes the verdict of it. */
export type ScenarioFindings = Omit<ScenarioResult, 'scenario' | 'ok'>;

export interface Scenario {
  /** As it stands in the table, and as `--only` names it. */
  readonly name: string;
  /** What is done to whom, in a few words. */
  readonly fault: string;
  run(): Promise<ScenarioFindings>;
}

/** The verdict: nothing lost, and every invariant holds. Without an invariant nothing was proven. */
export function verdictOf({ name }: Scenario, findings: ScenarioFindings): ScenarioResult {
  const { lostTransactions, invariants } = findings;
  const ok = lostTransactions === 0 && invariants.length > 0 && invariants.every((it) => it.ok);
  const recoverySeconds = Math.round(findings.recoverySeconds * 10) / 10;
  return { scenario: name, ...findings, recoverySeconds, ok };
}

/** A scenario that could not be brought to its end has proven nothing. */
export function brokenOff({ name }: Scenario, error: unknown): ScenarioResult {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    scenario: name,
    lostTransactions: 0,
    recoverySeconds: 0,
    recovered: 'nothing',
    invariants: [{ name: 'ran to its end', ok: false, detail }],
    ok: false,
  };
}
