import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classifyStatement } from '../../../src/binlog/sql.ts';
import { EventStatusFold } from '../../../src/restoring/event-status.ts';

const BASE = [
  { schema: 'shop', name: 'Nightly', status: 'ENABLED' },
  { schema: 'shop', name: 'off', status: 'DISABLED' },
  { schema: 'shop', name: 'elsewhere', status: 'REPLICA_SIDE_DISABLED' },
] as const;

function after(...statements: readonly string[]): EventStatusFold {
  const fold = new EventStatusFold(BASE);
  for (const sql of statements) fold.add(classifyStatement(sql, 'shop'));
  return fold;
}

const status = (fold: EventStatusFold, name: string, schema = 'shop') => fold.statusOf({ schema, name });

test('an event that nothing touched keeps the status of the base, whatever the case of its name', () => {
  const fold = after('INSERT INTO t VALUES (1)', 'DROP TABLE t');
  assert.equal(status(fold, 'nightly'), 'ENABLED');
  assert.equal(status(fold, 'OFF'), 'DISABLED');
  assert.equal(status(fold, 'elsewhere'), 'REPLICA_SIDE_DISABLED');
});

test('CREATE EVENT enables unless it says otherwise', () => {
  const fold = after(
    'CREATE EVENT a ON SCHEDULE EVERY 1 DAY DO SELECT 1',
    'CREATE EVENT b ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DISABLE DO SELECT 1',
    'CREATE EVENT other.c ON SCHEDULE EVERY 1 DAY DISABLE ON REPLICA DO SELECT 1',
  );
  assert.equal(status(fold, 'a'), 'ENABLED');
  assert.equal(status(fold, 'b'), 'DISABLED');
  assert.equal(status(fold, 'c', 'other'), 'REPLICA_SIDE_DISABLED');
});

test('IF NOT EXISTS on one that exists changes nothing', () => {
  const fold = after('CREATE EVENT IF NOT EXISTS off ON SCHEDULE EVERY 1 DAY ENABLE DO SELECT 1');
  assert.equal(status(fold, 'off'), 'DISABLED');
});

test('ALTER EVENT changes the status only where it says one, and renames across schemas', () => {
  const fold = after(
    'ALTER EVENT nightly COMMENT "still on"',
    'ALTER EVENT off RENAME TO other.moved',
    'ALTER EVENT elsewhere ENABLE',
  );
  assert.equal(status(fold, 'nightly'), 'ENABLED');
  assert.equal(status(fold, 'moved', 'other'), 'DISABLED');
  assert.equal(status(fold, 'off'), undefined);
  assert.equal(status(fold, 'elsewhere'), 'ENABLED');
});

test('a database takes its events with it, and one of the same name begins anew', () => {
  const fold = after(
    'DROP DATABASE shop',
    'CREATE DATABASE shop',
    'CREATE EVENT shop.off ON SCHEDULE EVERY 1 DAY DO SELECT 1',
  );
  assert.equal(status(fold, 'nightly'), undefined);
  assert.equal(status(fold, 'off'), 'ENABLED');
  assert.equal(status(after('DROP EVENT IF EXISTS nightly'), 'nightly'), undefined);
});
