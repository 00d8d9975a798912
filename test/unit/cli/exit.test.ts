import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { exitOf, failed, ok, warning, worstExit } from '../../../src/cli/checks/finding.ts';
import { endingOf, Interrupted } from '../../../src/cli/exit.ts';
import { AppError, type ErrorKind, EXIT_CODES } from '../../../src/domain/errors.ts';

const quiet = new AbortController().signal;

function failure(error: unknown, signal = quiet) {
  const ending = endingOf(error, signal);
  assert(ending.kind === 'failed');
  return ending;
}

test('each kind of error has its exit code, its words and its document', () => {
  for (const kind of Object.keys(EXIT_CODES) as ErrorKind[]) {
    const error = new AppError({
      code: 'Name',
      kind,
      message: 'The fact.',
      hint: 'Do this.',
      facts: { n: 1 },
    });
    const { exitCode, words, document } = failure(error);
    assert.equal(exitCode, EXIT_CODES[kind]);
    assert.deepEqual(words, ['pitrail: The fact.', '  hint: Do this.']);
    assert.deepEqual(document, {
      error: { code: 'Name', kind, message: 'The fact.', hint: 'Do this.', facts: { n: 1 } },
    });
  }
});

test('causes are told, each once', () => {
  const inner = new Error('connect ECONNREFUSED');
  const error = new AppError({
    code: 'X',
    kind: 'unavailable',
    message: 'No answer (boom).',
    cause: new Error('boom', { cause: inner }),
  });
  assert.deepEqual(failure(error).words, ['pitrail: No answer (boom).', '  cause: connect ECONNREFUSED']);
});

test('an error that nobody foresaw is a bug, 70, with its stack', () => {
  for (const thrown of [new TypeError('x is not a function'), 'text', undefined]) {
    const { exitCode, words } = failure(thrown);
    assert.equal(exitCode, 70);
    assert.match(words[0] ?? '', /This is a bug in pitrail/);
  }
  assert.match(failure(new TypeError('x')).words.join('\n'), /exit\.test\.ts/);
});

test('whatever fails after a signal is an interruption', () => {
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const stop = new AbortController();
    stop.abort(new Interrupted(name));
    assert.equal(failure(new TypeError('broken by the abort'), stop.signal).exitCode, code);
  }
});

test('of several failures the worst decides, and warnings alone are no failure', () => {
  assert.equal(worstExit([]), 0);
  assert.equal(worstExit(['unavailable', 'refused', 'corrupt', 'config']), EXIT_CODES.corrupt);
  assert.equal(worstExit(['unavailable', 'config']), EXIT_CODES.config);
  assert.equal(exitOf([ok('a', 'b'), warning('a', 'b', 'c')]), 0);
  assert.equal(exitOf([ok('a', 'b'), failed('a', 'X', 'unavailable', 'b', 'c')]), 75);
});
