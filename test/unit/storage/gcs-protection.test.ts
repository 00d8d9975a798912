import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { protectionFields, UNPROTECTED } from '../../../src/storage/gcs/protection.ts';

const NOW = new Date('2026-02-27T10:00:00.000Z');

test('an unprotected object is created with nothing said of it', () => {
  assert.deepEqual(protectionFields(UNPROTECTED, NOW), {});
});

test('retention counts days of 24 hours from the creation, in the words of the JSON API', () => {
  const fields = protectionFields({ retention: { days: 3, mode: 'unlocked' }, hold: null }, NOW);
  assert.deepEqual(fields, { retention: { mode: 'Unlocked', retainUntilTime: '2026-03-02T10:00:00.000Z' } });
  const locked = protectionFields({ retention: { days: 1, mode: 'locked' }, hold: null }, NOW);
  assert.equal(locked.retention?.mode, 'Locked');
});

test('a hold is one of the two that there are, beside retention', () => {
  assert.deepEqual(protectionFields({ retention: null, hold: 'temporary' }, NOW), { temporaryHold: true });
  const both = protectionFields({ retention: { days: 1, mode: 'locked' }, hold: 'event-based' }, NOW);
  assert.deepEqual(Object.keys(both), ['retention', 'eventBasedHold']);
});
