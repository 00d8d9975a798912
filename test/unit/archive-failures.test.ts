import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActivityFailure, ServerFailure, TimeoutFailure } from '@temporalio/common';
import { LONG } from '../../workflows/archive-activities.ts';
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

test('a transfer that no worker takes ends its round, and says that the worker is gone', () => {
  assert.equal(LONG.scheduleToStartTimeout, '15 minutes');
  const late = new TimeoutFailure('activity ScheduleToStart timeout', undefined, 'SCHEDULE_TO_START');
  const step = new ActivityFailure('Activity task timed out', 'sealSegment', '1', 'TIMEOUT', 'w', late);
  assert.equal(describeFailure(step).code, 'WorkerGone');
});
