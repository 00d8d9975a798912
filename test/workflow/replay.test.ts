import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { workflowBundlePath } from '../../src/worker/bundle.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/histories/', import.meta.url));

test('workflows that run since an earlier version go on with this one', async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.json'));
  assert.ok(names.length >= 2);
  const histories = await Promise.all(
    names.map(async (name) => ({
      workflowId: name,
      history: historyFromJSON(JSON.parse(await readFile(`${FOLDER}${name}`, 'utf8'))),
    })),
  );
  const workflowBundle = { codePath: await workflowBundlePath() };
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories)) {
    assert.equal(error, undefined, `${workflowId} does not replay`);
  }
});
