import type { RestoreStep, StepProgress } from '../../restoring/job.ts';
import type { CliContext } from '../command.ts';
import type { Progress } from '../progress.ts';

const LABELS: Readonly<Record<RestoreStep, string>> = {
  plan: 'planning',
  fetch: 'fetching the base backup',
  replay: 'replaying',
  verify: 'verifying',
  'hand-over': 'handing over',
};

/** Shows the steps of a restore one after another, with a bar where bytes are known. */
export class StepBars {
  readonly #context: CliContext;
  #step: RestoreStep | null = null;
  #bar: Progress | null = null;

  constructor(context: CliContext) {
    this.#context = context;
  }

  /** Ends what was shown and names the step that begins. */
  enter(step: RestoreStep): void {
    if (step === this.#step) return;
    this.stop();
    this.#step = step;
    this.#context.output.say(`  ${LABELS[step]}`);
  }

  update({ doneBytes, totalBytes }: StepProgress): void {
    if (this.#step === null || totalBytes === 0) return;
    this.#bar ??= this.#context.progress(`  ${LABELS[this.#step]}`, totalBytes);
    this.#bar.update(doneBytes);
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = null;
  }
}
