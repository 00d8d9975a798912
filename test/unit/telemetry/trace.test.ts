import { strict as assert } from 'node:assert';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { currentTrace, stepOf, traceHeaders, traceOfRun, withTrace } from '../../../src/telemetry/trace.ts';

const RUN = '0199b8a1-2c3d-7abc-8def-0123456789ab';

test('the trace of a workflow run is its run id, the same in every process', () => {
  const trace = traceOfRun(RUN);
  assert.equal(trace.traceId, RUN.replaceAll('-', ''));
  assert.deepEqual(traceOfRun(RUN), trace);
  for (const odd of ['', 'no uuid', '00000000-0000-0000-0000-000000000000']) {
    assert.match(traceOfRun(odd).traceId, /^[0-9a-f]{32}$/);
    assert.doesNotMatch(traceOfRun(odd).traceId, /^0+$/);
  }
});

test('the header is that of W3C Trace Context, and each step has a span of its own', () => {
  const [a, b] = [stepOf(traceOfRun(RUN)), stepOf(traceOfRun(RUN))];
  assert.notEqual(a.spanId, b.spanId);
  withTrace(a, () => assert.deepEqual(traceHeaders(), { traceparent: `00-${a.traceId}-${a.spanId}-01` }));
  assert.deepEqual(traceHeaders(), {});
});

test('work that runs at once is told apart, across everything that it awaits', async () => {
  const seen = await Promise.all(
    Array.from({ length: 20 }, (_, index) => {
      const trace = { traceId: String(index).padStart(32, '0'), spanId: '1'.repeat(16) };
      return withTrace(trace, async () => {
        await new Promise((resolve) => setTimeout(resolve, 20 - index));
        await Promise.resolve();
        return Number(currentTrace()?.traceId);
      });
    }),
  );
  assert.deepEqual(seen, [...Array(20).keys()]);
});

test('every log line of a step carries its trace, and none outside does', async () => {
  const lines: Record<string, unknown>[] = [];
  const to = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const logger = createLogger({ level: 'info', form: 'json', to });
  const trace = stepOf(traceOfRun(RUN));
  withTrace(trace, () => logger.info({ password: 'x' }, 'inside'));
  logger.info('outside');
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    lines.map(({ msg, trace_id, span_id, password }) => [msg, trace_id, span_id, password]),
    [
      ['inside', trace.traceId, trace.spanId, '[secret]'],
      ['outside', undefined, undefined, undefined],
    ],
  );
});
