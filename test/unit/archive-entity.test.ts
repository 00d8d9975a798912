import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../../src/domain/errors.ts';
import { parseBinlogName, parseServerUuid } from '../../src/domain/identity.ts';
import { carryOf, endRun, openEntity, openTicket, ticketResult } from '../../workflows/archive-entity.ts';
import { held, noteFence } from '../../workflows/archive-hold.ts';
import { acknowledgedGtids, adoptStores, update } from '../../workflows/archive-records.ts';
import { adoptWaiting, isLackedBy, noteCommitted } from '../../workflows/archive-waiting.ts';
import { ARCHIVE_CARRY } from '../../workflows/contracts/archive.ts';

const SOURCE = { cluster: 'shop', source: 'shop-1' };

test('what was asked of a run and not done yet is handed to the next one, as JSON', () => {
  const entity = openEntity(SOURCE, undefined);
  entity.rotateAsked = true;
  entity.lastRefusedSignal = 'not understood';
  entity.hold = { kind: 'held', epoch: 3 };
  entity.decisions = [
    { kind: 'accept-gap', binlog: 'binlog.000007', reason: 'lost', behind: 'binlog.000006' },
  ];
  const carried = ARCHIVE_CARRY.schema.parse(JSON.parse(JSON.stringify(carryOf(entity))));
  assert.deepEqual(carried, carryOf(entity));
  const next = openEntity(SOURCE, carried);
  assert.deepEqual(
    [next.rotateAsked, next.lastRefusedSignal, next.decisions, next.hold],
    [true, 'not understood', entity.decisions, { kind: 'held', epoch: 3 }],
  );
});

test('only a handoff makes an entity give up its epoch, and it writes nothing without one', () => {
  const entity = openEntity(SOURCE, undefined);
  assert.throws(() => held(entity), /before its epoch was claimed/);
  entity.hold = { kind: 'held', epoch: 2 };
  noteFence(entity, new AppError({ code: 'StoreDown', kind: 'unavailable', message: 'down' }));
  noteFence(entity, new AppError({ code: 'HandoffMissing', kind: 'conflict', message: 'behind' }));
  assert.deepEqual(held(entity), { ...SOURCE, epoch: 2 });
  noteFence(entity, new AppError({ code: 'StaleEpoch', kind: 'conflict', message: 'fenced' }));
  assert.deepEqual(entity.hold, { kind: 'unclaimed' });
});

test('what was called archived stays so when a store is taken away, and nothing is made up where one was never read', () => {
  const entity = openEntity(SOURCE, undefined);
  const gtids = (to: number) => `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-${to}`;
  const stores = [
    { store: 'p', policy: 'required' },
    { store: 'c', policy: 'catch-up' },
  ] as const;
  adoptStores(entity, stores);
  assert.equal(acknowledgedGtids(entity), null);
  update(entity, 'p', { coveredGtids: gtids(5) });
  update(entity, 'c', { coveredGtids: gtids(9) });
  assert.equal(acknowledgedGtids(entity), gtids(5));
  entity.standIns = [{ from: 'p', to: 'c' }];
  assert.equal(acknowledgedGtids(entity), gtids(9));
  adoptStores(entity, stores.slice(0, 1));
  assert.equal(acknowledgedGtids(entity), gtids(9));
  // Carried to the next run, and from then on it only grows.
  const next = openEntity(SOURCE, ARCHIVE_CARRY.schema.parse(JSON.parse(JSON.stringify(carryOf(entity)))));
  assert.equal(acknowledgedGtids(next), gtids(9));
  next.standIns = [];
  assert.equal(acknowledgedGtids(next), gtids(9));
  update(next, 'p', { coveredGtids: gtids(12) });
  assert.equal(acknowledgedGtids(next), gtids(12));
});

test('a run that ends answers all who wait, and who asks then is sent to the next one at once', () => {
  const entity = openEntity(SOURCE, undefined);
  const waiting = openTicket(entity);
  waiting.archived.push('binlog.000001');
  const done = openTicket(entity);
  done.state = { kind: 'done' };
  endRun(entity);
  const late = openTicket(entity);
  assert.deepEqual(
    [waiting, done, late].map((ticket) => [ticketResult(entity, ticket).state, ticket.archived]),
    [
      ['goes-on', ['binlog.000001']],
      ['done', []],
      ['goes-on', []],
    ],
  );
});

test('what a run of an earlier version hands over is taken', () => {
  const { rotateAsked, lastRefusedSignal, ...earlier } = carryOf(openEntity(SOURCE, undefined));
  const decision = { kind: 'retry', binlog: 'binlog.000007', reason: 'mended' };
  const carried = ARCHIVE_CARRY.schema.parse({ ...earlier, decisions: [decision] });
  assert.deepEqual(carried, {
    ...earlier,
    rotateAsked,
    lastRefusedSignal,
    decisions: [{ ...decision, behind: null }],
  });
});

test('a log that was committed while a look found it lacking is not sent to that store again', () => {
  const entity = openEntity(SOURCE, undefined);
  adoptStores(entity, [
    { store: 'main', policy: 'required' },
    { store: 's3', policy: 'required' },
  ]);
  const log = {
    serverUuid: parseServerUuid('00000000-0000-0000-0000-000000000001'),
    binlog: parseBinlogName('binlog.000001'),
    createdAt: '2026-11-26T00:00:00Z',
    firstCommit: null,
    lengthBytes: 157,
  };
  const summary = { ...log, timeline: 1, lastCommit: null, gtids: '' };
  noteCommitted(entity, 'main', log, summary);
  const planned = { log, successor: null, stores: ['main', 's3'], lackedBy: ['main', 's3'] };
  adoptWaiting(entity, { archive: [planned], backlog: { logs: 1, bytes: 157 } });
  assert.deepEqual([isLackedBy(entity, 'main', log), isLackedBy(entity, 's3', log)], [false, true]);
});
