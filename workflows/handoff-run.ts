import { setCurrentDetails } from '@temporalio/workflow';
import type { HandoffSettings } from '../activities/handoff.ts';
import type { HandoffFacts } from '../src/domain/routing/handoff-facts.ts';
import type { HandoffDecision, HandoffPlan } from '../src/domain/routing/handoff-plan.ts';
import type { FallbackHandoffInput, HandoffProgress, HandoffStep } from './contracts/handoff.ts';
import { nowText } from './now.ts';
import { unknownSource } from './unknown-source.ts';

/** What one handoff knows of itself. Changed by its steps only. */
export interface HandoffRun {
  readonly request: FallbackHandoffInput;
  readonly settings: HandoffSettings;
  readonly report: { -readonly [K in keyof HandoffProgress]: HandoffProgress[K] };
}

/** Facts and what they mean, as they stood when the plan was made. */
export interface Decided {
  readonly facts: HandoffFacts;
  readonly plan: HandoffPlan;
}

export type HandOff = Extract<HandoffDecision, { kind: 'hand-off' }>;

/** Moves on to a step, and shows it. */
export function enter({ request, report }: HandoffRun, step: HandoffStep): void {
  report.step = step;
  report.waitsFor = null;
  setCurrentDetails(
    `\`${report.from ?? 'the archived source'}\` to \`${request.to}\`: **${step}** since ${nowText()}`,
  );
}

/** The host of a source of the configuration. @throws config `UnknownSource` */
export function hostOf({ settings, request }: HandoffRun, source: string): string {
  const found = settings.sources.find(({ id }) => id === source);
  if (found !== undefined) return found.host;
  throw unknownSource(request.cluster, source, 'be asked');
}
