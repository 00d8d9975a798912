import type { Output } from '../output.ts';
import { formatSeconds } from '../words.ts';

/** What a step did, as JSON. */
export interface StepRecord {
  readonly step: string;
  readonly seconds: number;
  readonly command: string | null;
  readonly facts: readonly string[];
}

/** What a step found out: lines for people, and a value for the next steps. */
export interface StepOutcome<T> {
  readonly value: T;
  readonly facts: readonly string[];
}

/** Tells the quickstart as it happens: numbered steps, with times, facts and the command to repeat each. */
export class Story {
  readonly #output: Output;
  readonly #now: () => number;
  readonly #records: StepRecord[] = [];

  constructor(output: Output, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#now = now;
  }

  get records(): readonly StepRecord[] {
    return this.#records;
  }

  /** Runs a step and tells it; `command` is what a person types to do the same. */
  async step<T>(title: string, command: string | null, work: () => Promise<StepOutcome<T>>): Promise<T> {
    const startedAt = this.#now();
    this.#output.say(`\n${this.#records.length + 1}. ${title}`);
    if (command !== null) this.#output.say(`   $ ${command}`);
    const { value, facts } = await work();
    const seconds = Math.round(this.#now() - startedAt) / 1000;
    for (const fact of facts) this.#output.say(`   ${fact}`);
    this.#output.say(`   (${formatSeconds(seconds)})`);
    this.#records.push({ step: title, seconds, command, facts });
    return value;
  }
}
