import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LaneNeeds, type LaneState, laneWork } from '../../../src/domain/routing/lane-work.ts';

const NOW = 100_000;
const well: LaneState = { circuit: { kind: 'closed' }, restUntilMs: 0, nextFillMs: 0 };
const needs = (holder: LaneNeeds['holder'], logs = 1): LaneNeeds => ({ holder, logs });
const rested = { ...well, restUntilMs: NOW + 1 };

test('a store is probed while its circuit is not closed, rests after a failure, and is filled before it gets logs', () => {
  assert.equal(laneWork({ ...rested, circuit: { kind: 'open' } }, needs('none'), NOW), 'probe');
  assert.equal(laneWork({ ...well, circuit: { kind: 'half-open' } }, needs('reachable'), NOW), 'probe');
  assert.equal(laneWork(rested, needs('none'), NOW), 'rest');
  assert.equal(laneWork(rested, needs('reachable'), NOW), 'rest');
  assert.equal(laneWork(rested, needs('none'), NOW + 1), 'transfer');
  assert.equal(laneWork(well, needs('reachable'), NOW), 'fill');
  assert.equal(laneWork(well, needs('away'), NOW), 'transfer');
  assert.equal(laneWork(well, needs('none', 0), NOW), 'rest');
});

test('a fill that found nothing to copy holds back the next fill, and no log once nothing has to be filled', () => {
  const filled = { ...well, nextFillMs: NOW + 1 };
  assert.equal(laneWork(filled, needs('reachable'), NOW), 'rest');
  assert.equal(laneWork(filled, needs('reachable'), NOW + 1), 'fill');
  assert.equal(laneWork(filled, needs('none'), NOW), 'transfer');
});
