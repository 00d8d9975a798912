import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closedRefs, decideRound, type RoundView } from '../../../src/archiving/decide-round.ts';
import type { SourceLog } from '../../../src/archiving/source-logs.ts';
import { CatalogState } from '../../../src/catalog/fold.ts';
import { parseRepositoryId, parseServerUuid, parseSha256 } from '../../../src/domain/identity.ts';

const EMPTY = CatalogState.fold(null, [
  {
    sha256: parseSha256('ab'.repeat(32)),
    entry: {
      format: 1,
      sequence: 1,
      repositoryId: parseRepositoryId('11111111-2222-4333-8444-555555555555'),
      previous: null,
      writer: 'test',
      epoch: 1,
      writtenAt: '2026-11-20T10:00:00.000000Z',
      body: { kind: 'repository-created', cluster: 'c', createdBy: 'test' },
      signature: null,
    },
  },
]);

function logs(count: number, more: Partial<SourceLog>): SourceLog[] {
  return Array.from({ length: count }, (_, index) => {
    const createdAt = '2026-11-20T10:00:00.000000Z';
    const peek = { createdAt, previousGtids: '', firstCommit: null, headBytes: 157 };
    const name = `binlog.${String(index + 1).padStart(6, '0')}`;
    return { name, sizeBytes: 157, encrypted: false, peek, problem: null, ...more };
  });
}

function view(more: Partial<RoundView>): RoundView {
  const serverUuid = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');
  const nothing = { listed: [], staged: [], setAside: [], givenUp: [] };
  return { serverUuid, gtidMode: 'ON', ...nothing, stores: [{ id: 'a', state: EMPTY }], ...more };
}

/** A payload of more than 2 MB is refused by Temporal. */
const MAX_BYTES = 500_000;

test('what a round decides stays small, however many logs there are', () => {
  const encrypted = decideRound(view({ listed: logs(10_000, { encrypted: true, peek: null }) }));
  assert.ok(encrypted.problems.length > 0 && JSON.stringify(encrypted).length < MAX_BYTES);
  assert.equal(encrypted.problems[0]?.binlog, 'binlog.000001');
  assert.equal(encrypted.backlog.logs, 9_999);
  const givenUp = logs(10_000, {}).map(({ name, sizeBytes }) => ({
    serverUuid: '3e11fa47-71ca-11e1-9e33-c80aa9429562',
    binlog: name,
    createdAt: '2026-11-20T10:00:00.000000Z',
    lengthBytes: sizeBytes,
  }));
  const staged = decideRound(view({ staged: logs(4_000, {}), givenUp: givenUp.slice(0, 4_000) }));
  assert.ok(staged.release.length > 0 && JSON.stringify(staged).length < MAX_BYTES);
});

test('where no catalog is known, every closed log that is not staged is to be staged', () => {
  const [one, two, open] = logs(3, {});
  const listed = [one, two, open].filter((log) => log !== undefined);
  const refs = closedRefs(view({ listed, staged: listed.slice(0, 1), stores: [] }));
  assert.deepEqual(
    refs.map(({ binlog }) => binlog),
    ['binlog.000002'],
  );
});
