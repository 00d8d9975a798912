import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { testFolder } from '../support/folder.ts';
import { startS3 } from '../support/s3.ts';
import { by, OTHER_SERVER, SERVER } from './catalog-samples.ts';
import { openWriterStore, type WriterStore } from './handoff-writer.ts';

const WRITER = fileURLToPath(new URL('handoff-writer.ts', import.meta.url));

interface Writer {
  readonly child: ChildProcess;
  /** What it has said so far. */
  readonly lines: readonly string[];
  /** Its exit code, once it has ended and everything it said was read. */
  readonly ended: Promise<number | null>;
  /** Waits until it says a line; undefined where it ends without. */
  said(line: string): Promise<string | undefined>;
}

function start(store: WriterStore, ...args: readonly string[]): Writer {
  const env = { ...process.env, PITRAIL_TEST_STORE: JSON.stringify(store) };
  const child = spawn(process.execPath, [WRITER, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  const ended = Promise.all([once(child, 'close'), once(reader, 'close')]).then(
    ([[code]]) => code as number | null,
  );
  const said = async (line: string): Promise<string | undefined> => {
    while (!lines.includes(line)) {
      const more = await Promise.race([once(reader, 'line'), ended.then(() => null)]);
      if (more === null) break;
    }
    return lines.find((it) => it === line);
  };
  return { child, lines, ended, said };
}

function archivedBy({ lines }: Writer): string[] {
  return lines.filter((line) => line.startsWith('archived ')).map((line) => line.slice('archived '.length));
}

/** The old writer archives while the archive is handed to another source; what each side may do then. */
async function fencesTheOldWriter(config: WriterStore): Promise<void> {
  const store = openWriterStore(config);
  try {
    await openCatalog(store).init('shop', by('test', 1));
    const old = start(config, 'archive', 'shop-1', SERVER, '1', '5000');
    assert.equal(await old.said('archived 5'), 'archived 5', old.lines.join('\n'));
    assert.equal(old.lines[0], 'holds 1');
    const handoff = start(config, 'hand-off', 'shop-2', OTHER_SERVER, '2');
    assert.equal(await handoff.ended, 0, handoff.lines.join('\n'));
    // Nobody tells the old writer: it meets the handoff by itself, at its next entry.
    assert.equal(await old.ended, 5);
    assert.match(old.lines.at(-1) ?? '', /^StaleEpoch: .* works in epoch 1, .* has reached epoch 2/);

    const next = start(config, 'archive', 'shop-2', OTHER_SERVER, '9001', '9003');
    assert.equal(await next.ended, 0, next.lines.join('\n'));
    assert.equal(next.lines[0], 'holds 2');
    const woken = start(config, 'archive', 'shop-1', SERVER, '1', '1');
    assert.equal(await woken.ended, 5);
    assert.deepEqual(woken.lines, ['handed away to shop-2']);
    const again = start(config, 'hand-off', 'shop-2', OTHER_SERVER, '2');
    assert.equal(await again.ended, 0, 'a handoff may be made twice');

    const state = await openCatalog(store).read({ through: 'entries' });
    const names = state.allSegments().map(({ segment }) => String(Number(segment.binlog.slice(-6))));
    assert.deepEqual(
      names,
      [...archivedBy(old), ...archivedBy(next)],
      'what was said to be archived, and no more',
    );
    const [handed, ...more] = state.handoffs();
    assert.equal(more.length, 0, 'one handoff');
    const behind = state.allSegments().filter(({ sequence }) => sequence > (handed?.sequence ?? 0));
    assert.deepEqual(
      behind.map(({ segment }) => segment.binlog),
      ['binlog.009001', 'binlog.009002', 'binlog.009003'],
      'behind the handoff only its new source wrote',
    );
  } finally {
    await store.close();
  }
}

/** Two sources take over at once, from the same epoch: one is the heir, the other is told. */
async function handsToOne(config: WriterStore): Promise<void> {
  const store = openWriterStore(config);
  try {
    await openCatalog(store).init('shop', by('test', 1));
    for (let epoch = 2; epoch <= 5; epoch += 1) {
      const rivals = [
        start(config, 'hand-off', 'shop-2', OTHER_SERVER, String(epoch)),
        start(config, 'hand-off', 'shop-3', SERVER, String(epoch)),
      ];
      const codes = await Promise.all(rivals.map(({ ended }) => ended));
      assert.deepEqual(codes.toSorted(), [0, 5], `epoch ${epoch}`);
      const loser = rivals[codes.indexOf(5)];
      assert.match(loser?.lines.at(-1) ?? '', /^StaleEpoch: /);
      const state = await openCatalog(store).read({ through: 'entries' });
      assert.equal(state.epoch, epoch);
      const last = state.handoffs().at(-1);
      assert(last?.route.kind === 'source');
      assert.equal(last.route.to.source, codes[0] === 0 ? 'shop-2' : 'shop-3');
    }
  } finally {
    await store.close();
  }
}

test('a writer whose source was handed away is fenced at its next entry, in a folder', {
  timeout: 120_000,
}, async () => {
  const folder = await testFolder();
  await fencesTheOldWriter({ kind: 'directory', directory: folder.path });
  await folder.remove();
});

test('of two handoffs from one epoch one stands, in a folder', { timeout: 120_000 }, async () => {
  const folder = await testFolder();
  await handsToOne({ kind: 'directory', directory: folder.path });
  await folder.remove();
});

test('an S3 store fences and hands to one as well', { timeout: 240_000 }, async () => {
  const s3 = await startS3();
  try {
    const { endpoint, region, credentials } = s3;
    const config = (bucket: string): WriterStore => ({ kind: 's3', endpoint, region, bucket, credentials });
    await fencesTheOldWriter(config(s3.bucket));
    const second = await startS3('second');
    try {
      const { endpoint: other, credentials: theirs } = second;
      await handsToOne({ kind: 's3', endpoint: other, region, bucket: 'second', credentials: theirs });
    } finally {
      await second.stop();
    }
  } finally {
    await s3.stop();
  }
});
