import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LogPeek } from '../../../src/archiving/peek.ts';
import { RemoteHeads } from '../../../src/archiving/remote/heads.ts';
import type { RemotePeek } from '../../../src/archiving/remote/peek.ts';
import type { RememberedLine } from '../../../src/archiving/remote/remembered.ts';
import type { SourceLog } from '../../../src/archiving/source-logs.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { type BinlogName, parseBinlogName } from '../../../src/domain/identity.ts';
import type { BinaryLog } from '../../../src/mysql/facts.ts';
import { Random } from '../domain/random.ts';

interface ModelLog {
  readonly name: BinlogName;
  readonly createdAt: string;
  readonly previousGtids: string;
  firstCommit: string | null;
  sizeBytes: number;
}

/** A server that writes, rotates, purges and resets, and counts how often a beginning is read. */
class ModelServer {
  reads = 0;
  #second = 0;
  #micros = 0;
  #gtids = 0;
  logs: ModelLog[] = [];
  /** Called before a beginning is read. */
  beforeRead: () => void = () => undefined;

  constructor() {
    this.#open(1);
  }

  write(): void {
    const log = this.logs.at(-1);
    if (log === undefined) return;
    this.#gtids += 1;
    this.#micros += 1;
    log.firstCommit ??= `commit ${this.#micros}`;
    log.sizeBytes += 100;
  }

  rotate(): void {
    this.#open(Number(this.logs.at(-1)?.name.slice(-6)) + 1);
  }

  purge(count: number): void {
    this.logs = this.logs.slice(Math.min(count, this.logs.length - 1));
  }

  reset(): void {
    this.#gtids = 0;
    this.#second += 1;
    this.logs = [];
    this.#open(1);
  }

  #open(number: number): void {
    // Several logs a second: a creation time alone tells nothing.
    if (number % 3 === 0) this.#second += 1;
    this.logs.push({
      name: parseBinlogName(`binlog.${String(number).padStart(6, '0')}`),
      createdAt: `second ${this.#second}`,
      previousGtids: `1-${this.#gtids}`,
      firstCommit: null,
      sizeBytes: 157,
    });
  }

  listed(): BinaryLog[] {
    return this.logs.map(({ name, sizeBytes }) => ({ name, sizeBytes, encrypted: false }));
  }

  sizes(): Promise<ReadonlyMap<string, number>> {
    return Promise.resolve(new Map(this.logs.map(({ name, sizeBytes }) => [name, sizeBytes])));
  }

  peek = async ({ name }: BinaryLog): Promise<RemotePeek> => {
    this.beforeRead();
    this.reads += 1;
    await Promise.resolve();
    const log = this.logs.find((it) => it.name === name);
    return log === undefined ? { kind: 'gone' } : { kind: 'readable', peek: peekOf(log) };
  };
}

function peekOf({ createdAt, previousGtids, firstCommit }: ModelLog): LogPeek {
  return { createdAt, previousGtids, firstCommit };
}

function truth(server: ModelServer): SourceLog[] {
  return server.logs.map((log) => ({
    name: log.name,
    sizeBytes: log.sizeBytes,
    encrypted: false,
    peek: peekOf(log),
    problem: null,
  }));
}

function archivedLine(logs: readonly ModelLog[]): RememberedLine {
  return new Map(
    logs.map((log) => [log.name, { sizeBytes: log.sizeBytes, peek: peekOf(log), was: 'closed' as const }]),
  );
}

function look(heads: RemoteHeads, server: ModelServer, archived: readonly RememberedLine[] = []) {
  return heads.read(server.listed(), archived, () => server.sizes());
}

describe('the beginnings of remote logs', () => {
  test('are those of the server, whatever it does between two looks, and whatever was archived before', async () => {
    const random = new Random(7);
    for (let round = 0; round < 200; round += 1) {
      const server = new ModelServer();
      let heads = new RemoteHeads(server.peek);
      const archived: RememberedLine[] = [];
      for (let step = 0; step < 60; step += 1) {
        const what = random.int(20);
        if (what < 8) server.write();
        else if (what < 14) server.rotate();
        else if (what < 15) server.purge(random.int(4));
        else if (what < 16) server.reset();
        else if (what < 17) archived.push(archivedLine(server.logs.slice(0, -1)));
        else if (what < 18) heads = new RemoteHeads(server.peek);
        else assert.deepEqual(await look(heads, server, archived), truth(server));
      }
    }
  });

  test('cost one connection a look while nothing happens, and two after a rotation', async () => {
    const server = new ModelServer();
    const heads = new RemoteHeads(server.peek);
    for (let log = 0; log < 100; log += 1) {
      server.write();
      server.rotate();
    }
    await look(heads, server);
    assert.equal(server.reads, 101);
    server.reads = 0;
    await look(heads, server);
    assert.equal(server.reads, 1);
    server.write();
    server.rotate();
    server.reads = 0;
    assert.deepEqual(await look(heads, server), truth(server));
    assert.ok(server.reads <= 3, `${server.reads}`);
  });

  test('are taken from the catalog after a start, once its newest log is found again', async () => {
    const server = new ModelServer();
    for (let log = 0; log < 1000; log += 1) {
      server.write();
      server.rotate();
    }
    const archived = [archivedLine(server.logs.slice(0, 990))];
    assert.deepEqual(await look(new RemoteHeads(server.peek), server, archived), truth(server));
    assert.ok(server.reads <= 15, `${server.reads}`);
  });

  test('are not those of logs that had the same names before a reset', async () => {
    const server = new ModelServer();
    const heads = new RemoteHeads(server.peek);
    for (let log = 0; log < 5; log += 1) server.rotate();
    await look(heads, server);
    const before = [archivedLine(server.logs)];
    server.reset();
    for (let log = 0; log < 5; log += 1) server.rotate();
    assert.deepEqual(await look(heads, server, before), truth(server));
  });

  test('that were read before the line broke are not read again', async () => {
    const server = new ModelServer();
    const heads = new RemoteHeads(server.peek);
    for (let log = 0; log < 100; log += 1) {
      server.write();
      server.rotate();
    }
    let left = 60;
    server.beforeRead = () => {
      left -= 1;
      if (left < 0) throw new AppError({ code: 'DumpCut', kind: 'unavailable', message: 'cut' });
    };
    await assert.rejects(look(heads, server), /cut/);
    server.beforeRead = () => undefined;
    server.reads = 0;
    assert.deepEqual(await look(heads, server), truth(server));
    assert.ok(server.reads <= 50, `${server.reads}`);
  });

  test('of logs that are purged during the look are left out', async () => {
    const server = new ModelServer();
    for (let log = 0; log < 10; log += 1) server.rotate();
    const listed = server.listed();
    server.purge(3);
    const found = await new RemoteHeads(server.peek).read(listed, [], () => server.sizes());
    assert.deepEqual(found, truth(server));
  });

  test('of a log that is listed and cannot be found make the look void', async () => {
    const server = new ModelServer();
    server.rotate();
    const heads = new RemoteHeads(async () => ({ kind: 'gone' }));
    await assert.rejects(
      look(heads, server),
      (error: unknown) => error instanceof AppError && error.code === 'BinlogsChanged',
    );
  });

  test('that cannot be understood are told, and read again at the next look', async () => {
    const server = new ModelServer();
    server.rotate();
    const error = new AppError({ code: 'BinlogCorrupt', kind: 'corrupt', message: 'damaged' });
    let mended = false;
    const heads = new RemoteHeads(async (log) =>
      log.name === 'binlog.000001' && !mended ? { kind: 'corrupt', error } : server.peek(log),
    );
    assert.deepEqual((await look(heads, server))[0]?.problem, error);
    mended = true;
    assert.deepEqual(await look(heads, server), truth(server));
  });
});
