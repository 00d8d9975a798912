import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSameHistory } from '../../../src/backup/same-history.ts';
import { CatalogState } from '../../../src/catalog/fold.ts';
import type { CatalogBody } from '../../../src/domain/catalog-entry.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { parseSha256 } from '../../../src/domain/identity.ts';
import { AT, REPOSITORY, SERVER, segmentBody } from '../../integration/catalog-samples.ts';

const BODIES: readonly CatalogBody[] = [
  { kind: 'repository-created', cluster: 'c', createdBy: 'test' },
  segmentBody(1),
  segmentBody(2),
  segmentBody(3),
];
const STATE = CatalogState.fold(
  null,
  BODIES.map((body, index) => ({
    sha256: parseSha256('ab'.repeat(32)),
    entry: {
      format: 1,
      sequence: index + 1,
      repositoryId: REPOSITORY,
      previous: null,
      writer: 'test',
      epoch: 1,
      writtenAt: AT,
      body,
      signature: null,
    },
  })),
);
/** The backup began when two logs, with transactions 1 to 20, were archived. */
const LINE = { store: 'a', timeline: 1, sequence: 3 };

test('a clone that holds all that was archived when its backup began is of the same history', () => {
  assertSameHistory(STATE, LINE, `${SERVER}:1-20`);
  assertSameHistory(STATE, LINE, `${SERVER}:1-25`);
  assertSameHistory(STATE, { ...LINE, timeline: null }, `${SERVER}:1-5`);
});

test('a clone taken after a reset is refused, though its timeline looks unmoved', () => {
  const replaced = (error: unknown) => error instanceof AppError && error.code === 'HistoryReplaced';
  assert.throws(() => assertSameHistory(STATE, LINE, `${SERVER}:1-5`), replaced);
});
