import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { exitCodeOf, type OnceResult, storesLacking } from '../../../src/cli/archive/once.ts';
import type { StoreRecord } from '../../../workflows/contracts/stores.ts';

function record(store: string, policy: StoreRecord['policy'], logs: number): StoreRecord {
  return {
    store,
    policy,
    circuit: { kind: 'closed', failuresInRow: 0 },
    givenUpGtids: '',
    epoch: 1,
    coveredGtids: '',
    backlog: { logs, bytes: 0 },
    through: null,
    failure: null,
    outOfReach: null,
    restUntilMs: 0,
    nextFillMs: 0,
  };
}

const ARCHIVED: OnceResult = {
  cluster: 'shop',
  source: 'shop-1',
  state: 'done',
  archived: [],
  archivedThrough: null,
  deadLetters: [],
  backlog: { logs: 0, bytes: 0 },
  lacking: [],
};
const STANDS_BY: OnceResult = {
  cluster: 'shop',
  source: 'shop-2',
  state: 'stands-by',
  why: 'it is a fallback',
};

test('a required store that another one stands in for is missed, and one that catches up is not', () => {
  const stores = [record('main', 'required', 0), record('s3', 'required', 3), record('gcs', 'catch-up', 2)];
  const standIns = [{ from: 's3', to: 'gcs' }];
  assert.deepEqual(storesLacking({ stores, standIns }), [{ store: 's3', logs: 3 }]);
  assert.deepEqual(storesLacking({ stores, standIns: [] }), []);
});

test('archiving once is success only where every required store got every log', () => {
  assert.equal(exitCodeOf([ARCHIVED]), 0);
  assert.equal(exitCodeOf([ARCHIVED, STANDS_BY]), 0);
  assert.equal(exitCodeOf([STANDS_BY]), 3);
  assert.equal(exitCodeOf([{ ...ARCHIVED, lacking: [{ store: 's3', logs: 3 }] }, STANDS_BY]), 75);
  assert.equal(exitCodeOf([{ ...ARCHIVED, backlog: { logs: 1, bytes: 9 } }]), 75);
});
