import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../src/domain/errors.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { startApplier } from '../../src/replay/applier.ts';
import { startArchiveSource } from '../../src/replay/archive-source.ts';
import type { SourceSegment } from '../../src/replay/dump-plan.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';
import { createShop, startWorkload, tableChecksums } from '../support/workload.ts';
import { type Base, LOGIN, type Rig, reachedAt, segmentsOf, startRig, takeBase } from './replay-rig.ts';

let folder: TestFolder;
let origin: TestMysql;
let base: Base;
let segments: SourceSegment[];
let expected: GtidSet;
let truth: Record<string, string>;
let rig: Rig;

before(async () => {
  folder = await testFolder('pt-rf');
  origin = await startTestMysql();
  await createShop(origin);
  base = await takeBase(origin, join(folder.path, 'base'));
  // The first event on the wire that is long enough to be hit blindly.
  await origin.run('CREATE TABLE shop.big (b LONGBLOB)', "INSERT INTO shop.big VALUES (REPEAT('b', 400000))");
  for (let file = 0; file < 3; file += 1) {
    const traffic = await startWorkload(origin, { connections: 4, pauseMs: 0, seed: file });
    await sleep(1200);
    await traffic.stop();
    await origin.run('FLUSH BINARY LOGS');
  }
  segments = await segmentsOf(origin, base.gtids);
  expected = GtidSet.parse(await origin.gtidExecuted());
  truth = await tableChecksums(origin);
});

after(async () => {
  await origin?.stop();
  await folder?.remove();
});

async function assertExact(): Promise<void> {
  await rig.verify(expected);
  assert.deepEqual(await tableChecksums(rig), truth);
}

/** Hands out a segment's bytes slowly, so that a fault meets the replay in its middle. */
function slowly(segment: SourceSegment, pauseMs: number): SourceSegment {
  return {
    ...segment,
    async *open(signal) {
      for await (const chunk of segment.open(signal)) {
        yield chunk;
        await sleep(pauseMs);
      }
    },
  };
}

describe('each transaction is applied once, whatever dies in between', () => {
  test('mysqld killed three times in the middle of a replay', async () => {
    rig = await startRig(
      base,
      segments.map((segment) => slowly(segment, 25)),
    );
    try {
      let kills = 0;
      const { progress } = await rig.replay(expected, {
        onProgress: ({ appliedTransactions, plannedTransactions, restarts }) => {
          if (kills >= 3 || restarts < kills) return;
          if (appliedTransactions < (plannedTransactions * (kills + 1)) / 5) return;
          kills += 1;
          process.kill(livePid(), 'SIGKILL');
        },
      });
      assert.equal(progress.restarts, 3);
      await assertExact();
    } finally {
      await rig.stop();
    }
  });

  test('the connection reset, ended and held again and again', async () => {
    rig = await startRig(base, segments);
    const proxy = await tcpProxy({ host: '127.0.0.1', port: rig.source.port });
    try {
      for (const bytes of [5_000, 200_000, 300_001, 700_000]) proxy.resetAfter('to-client', bytes);
      await rig.replay(expected, { source: reachedAt(rig.source, proxy.port) });
      assert.ok(rig.source.progress().dumps >= 4, `${rig.source.progress().dumps} dumps`);
      await assertExact();
    } finally {
      await proxy.stop();
      await rig.stop();
    }
  });

  test('a byte flipped on the wire is not applied', async () => {
    rig = await startRig(base, segments);
    const proxy = await tcpProxy({ host: '127.0.0.1', port: rig.source.port });
    try {
      proxy.flipByteAfter('to-client', 100_000);
      const source = reachedAt(rig.source, proxy.port);
      await rig.replay(expected, { source });
      await assertExact();
      assert.match(readFileSync(rig.applier().logFile, 'utf8'), /checksum verification failed/);
      assert.equal(rig.source.progress().dumps, 2);
    } finally {
      await proxy.stop();
      await rig.stop();
    }
  });

  test('a store that fails in the middle: the connection is cut, and the replica resumes', async () => {
    let failures = 0;
    const flaky = segments.map((segment, index) => ({
      ...segment,
      async *open(signal: AbortSignal) {
        let bytes = 0;
        for await (const chunk of segment.open(signal)) {
          if (index === 1 && failures < 2 && bytes > 100_000) {
            failures += 1;
            throw new AppError({ code: 'StoreDown', kind: 'unavailable', message: 'the store is away' });
          }
          bytes += chunk.length;
          yield chunk;
        }
      },
    }));
    rig = await startRig(base, flaky);
    try {
      await rig.replay(expected);
      assert.equal(failures, 2);
      assert.equal(rig.source.failure(), null);
      assert.equal(rig.source.progress().dumps, 3);
      await assertExact();
    } finally {
      await rig.stop();
    }
  });

  test('this process gone: the applier runs on, is adopted, and goes on from another source', async () => {
    rig = await startRig(
      base,
      segments.map((segment) => slowly(segment, 25)),
    );
    const stop = new AbortController();
    try {
      const aborted = rig.replay(expected, {
        signal: stop.signal,
        onProgress: ({ appliedTransactions }) => appliedTransactions > 300 && stop.abort(new Error('gone')),
      });
      await assert.rejects(aborted, /gone/);
      await rig.source.close();
      const again = await startApplier(rig.applier().options);
      assert.equal(again.origin, 'adopted');
      assert.equal(again.server.pid, rig.applier().server.pid);
      const source = await startArchiveSource({
        segments,
        listen: { host: '127.0.0.1', port: 0 },
        user: LOGIN.user,
        password: 'another one',
        onNotice: () => undefined,
      });
      await rig.replay(expected, { source, password: 'another one' });
      await source.close();
      await assertExact();
    } finally {
      await rig.stop();
    }
  });
});

describe('a replay that cannot be exact says so', () => {
  test('a damaged byte in the archive is never applied, and named with file and offset', async () => {
    const damaged = segments.map((segment, index) => ({
      ...segment,
      async *open(signal: AbortSignal) {
        let at = 0;
        for await (const chunk of segment.open(signal)) {
          const copy = Uint8Array.from(chunk);
          const target = Math.floor(segment.lengthBytes / 2);
          if (index === 1 && at <= target && target < at + copy.length)
            copy[target - at] = (copy[target - at] ?? 0) ^ 0x10;
          at += copy.length;
          yield copy;
        }
      },
    }));
    rig = await startRig(base, damaged);
    try {
      const error = await rejection(rig.replay(expected));
      assert.equal(error.kind, 'corrupt');
      assert.match(error.message, new RegExp(`${segments[1]?.binlog} is damaged at offset \\d+`));
      const [row] = await rig.query<{ g: string }>('SELECT @@GLOBAL.gtid_executed AS g');
      const executed = GtidSet.parse(row?.g ?? '');
      assert.ok(executed.isSubsetOf(expected) && !executed.equals(expected));
    } finally {
      await rig.stop();
    }
  });

  test('a wrong password is refused and reported', async () => {
    rig = await startRig(base, segments);
    try {
      const error = await rejection(rig.replay(expected, { password: 'wrong' }));
      assert.equal(error.code, 'ReplayStalled');
      assert.match(error.message, /Access denied/);
      assert.ok(rig.notices.includes('login-refused'));
    } finally {
      await rig.stop();
    }
  });

  test('a transaction that cannot be applied is named with its GTID, and can be left out', async () => {
    rig = await startRig(base, segments);
    try {
      await rig.query('INSERT INTO shop.orders (id, customer_id, placed_at) VALUES (100, 1, NOW())');
      const error = await rejection(rig.replay(expected));
      assert.equal(error.code, 'ApplierFailed');
      assert.equal(error.kind, 'refused');
      const gtid = String(error.facts['gtid']);
      assert.ok(GtidSet.parse(gtid).isSubsetOf(expected));
      assert.match(error.hint ?? '', new RegExp(`--skip-gtid ${gtid}`));
    } finally {
      await rig.stop();
    }
  });

  test('transactions that no segment holds are named instead of awaited for ever', async () => {
    rig = await startRig(base, segments.slice(1));
    try {
      const error = await rejection(rig.replay(expected));
      assert.ok(['TransactionsNeverSent', 'ApplierFailed'].includes(error.code), error.message);
    } finally {
      await rig.stop();
    }
  });
});

/** The server that runs now, which the replay may have started itself. */
function livePid(): number {
  return Number(readFileSync(join(rig.applier().options.workDir, 'mysqld.pid'), 'utf8').trim());
}

async function rejection(promise: Promise<unknown>): Promise<AppError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AppError, `no AppError: ${String(error)}`);
  return error;
}
