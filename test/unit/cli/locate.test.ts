import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { restoreLine } from '../../../src/cli/commands/locate.ts';

test('the restore that is printed goes to the history that was searched', () => {
  const target = 'before:3e11fa47-71ca-11e1-9e33-c80aa9429562:4711';
  const anywhere = { cluster: null, store: null, timeline: null };
  assert.equal(restoreLine(target, anywhere), `pitrail restore --to ${target}`);
  assert.equal(
    restoreLine(target, { cluster: 'shop', store: 's3', timeline: 0 }),
    `pitrail restore --to ${target} --cluster shop --store s3 --timeline 0`,
  );
});
