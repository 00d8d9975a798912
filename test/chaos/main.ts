/**
 * Chaos: `npm run chaos`, or `npm run chaos -- --json --only failover-with-loss,stale-writer`. Each scenario
 * breaks something under real servers, and proves afterwards that nothing that was called archived is lost.
 * Exit code 1 where one is not green.
 */
import { parseArgs } from 'node:util';
import { tableOf } from './report.ts';
import { brokenOff, type Scenario, type ScenarioResult, verdictOf } from './scenario.ts';
import { failoverWithLoss, failoverWithoutLoss } from './scenarios/failover.ts';
import { killedHandoff } from './scenarios/killed-handoff.ts';
import { hostDies, sourcePartition } from './scenarios/partition.ts';
import { racingWorkers } from './scenarios/racing-workers.ts';
import { sourceLags } from './scenarios/source-lags.ts';
import { staleWriter } from './scenarios/stale-writer.ts';
import { anotherStoreCounts, gcsDies, storeDies, storeDiesInUpload } from './scenarios/store.ts';
import { storeAndSourceLost } from './scenarios/store-and-source.ts';
import { storeThrottled } from './scenarios/store-throttled.ts';

const SCENARIOS: readonly Scenario[] = [
  failoverWithoutLoss,
  failoverWithLoss,
  sourcePartition,
  sourceLags,
  hostDies,
  staleWriter,
  racingWorkers,
  killedHandoff,
  storeDies,
  gcsDies,
  storeThrottled,
  anotherStoreCounts,
  storeDiesInUpload,
  storeAndSourceLost,
];

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const names = SCENARIOS.map(({ name }) => name);
const wanted = values.only?.split(',') ?? names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`no such scenario: ${unknown.join(', ')}; there are ${names.join(', ')}\n`);
  process.exit(64);
}

const results: ScenarioResult[] = [];
for (const scenario of SCENARIOS.filter(({ name }) => wanted.includes(name))) {
  process.stderr.write(`chaos: ${scenario.name}: ${scenario.fault}\n`);
  const result = await runOne(scenario);
  for (const { name, ok, detail } of result.invariants)
    process.stderr.write(`chaos:   ${ok ? 'holds' : 'BROKEN'}: ${name}: ${detail}\n`);
  results.push(result);
}
process.stdout.write(`${values.json ? JSON.stringify(results) : tableOf(results, SCENARIOS)}\n`);
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;

async function runOne(scenario: Scenario): Promise<ScenarioResult> {
  try {
    return verdictOf(scenario, await scenario.run());
  } catch (error) {
    return brokenOff(scenario, error);
  }
}
