import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoreStanding } from '../../../src/archiving/discovery.ts';
import { withFills } from '../../../src/archiving/standings.ts';
import type { CatalogBody } from '../../../src/domain/catalog-entry.ts';
import { catalogOf, history, SERVER } from './archive-samples.ts';

const LOGS = history([2, 2, 2]);

function standing(store: string, fillFrom: string | null = null): StoreStanding {
  const nothing = {
    failure: null,
    epoch: 2,
    givenUpGtids: '',
    coveredGtids: '',
    backlog: { logs: 0, bytes: 0 },
    through: null,
  };
  return { store, status: 'read', fillFrom, outOfReach: null, ...nothing };
}

const fills = (standings: readonly StoreStanding[]) => standings.map(({ fillFrom }) => fillFrom);

test('a store that is back and lacks something other than logs is filled from the one that counts for it', () => {
  const stores = [standing('far'), standing('main'), standing('third')];
  const standIn = { from: 'far', to: 'main' };
  const gap = {
    kind: 'gap-accepted',
    serverUuid: SERVER,
    timeline: 1,
    missingGtids: `${SERVER}:9`,
    detail: '',
  };
  const [less, more] = [catalogOf(LOGS), catalogOf(LOGS, [gap as CatalogBody])];
  const known = [
    { id: 'far', state: less },
    { id: 'main', state: more },
    { id: 'third', state: more },
  ];
  const different = [{ ...standIn, verdict: 'different' } as const];
  assert.deepEqual(fills(withFills(stores, different, known)), ['main', null, null]);
  const equal = [{ ...standIn, verdict: 'equal' } as const];
  assert.deepEqual(fills(withFills(stores, equal, known)), [null, null, null]);
  assert.deepEqual(fills(withFills(stores, [], known)), [null, null, null]);
  const fuller = [standing('far', 'third'), standing('main'), standing('third')];
  assert.deepEqual(fills(withFills(fuller, different, known)), ['third', null, null]);
  // It has more itself, so that a fill would bring nothing: it gets what is new instead.
  const ahead = known.map(({ id }) => ({ id, state: id === 'main' ? less : more }));
  assert.deepEqual(fills(withFills(stores, different, ahead)), [null, null, null]);
});
