import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoreStanding } from '../../../src/archiving/discovery.ts';
import { withFills } from '../../../src/archiving/standings.ts';

function standing(store: string, fillFrom: string | null = null): StoreStanding {
  const nothing = {
    failure: null,
    epoch: 2,
    coveredGtids: '',
    backlog: { logs: 0, bytes: 0 },
    through: null,
  };
  return { store, status: 'read', fillFrom, ...nothing };
}

const fills = (standings: readonly StoreStanding[]) => standings.map(({ fillFrom }) => fillFrom);

test('a store that is back and lacks something other than logs is filled from the one that counts for it', () => {
  const stores = [standing('far'), standing('main'), standing('third')];
  const standIn = { from: 'far', to: 'main' };
  assert.deepEqual(fills(withFills(stores, [{ ...standIn, verdict: 'different' }])), ['main', null, null]);
  assert.deepEqual(fills(withFills(stores, [{ ...standIn, verdict: 'equal' }])), [null, null, null]);
  assert.deepEqual(fills(withFills(stores, [])), [null, null, null]);
  const fuller = [standing('far', 'third'), standing('main'), standing('third')];
  assert.deepEqual(fills(withFills(fuller, [{ ...standIn, verdict: 'different' }])), ['third', null, null]);
});
