import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActivityFailure, ServerFailure } from '@temporalio/common';
import { describeFailure } from '../../workflows/archive-failures.ts';

test('a step that Temporal itself ended is described, and does not end the workflow', () => {
  const refused = new ServerFailure('Complete result exceeds size limit.', true);
  const step = new ActivityFailure(
    'Activity task failed',
    'discoverBinlogs',
    '1',
    'NON_RETRYABLE_FAILURE',
    'w',
    refused,
  );
  const described = describeFailure(step);
  assert.equal(described.code, 'StepFailed');
  assert.match(described.message, /discoverBinlogs.*exceeds size limit/);
});

test('an error of the workflow itself is thrown on, so that its task is tried again', () => {
  const bug = new TypeError('x is undefined');
  assert.throws(() => describeFailure(bug), bug);
});
