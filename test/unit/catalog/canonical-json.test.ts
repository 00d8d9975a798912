import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { canonicalJson } from '../../../src/catalog/canonical-json.ts';
import { AppError } from '../../../src/domain/errors.ts';

test('the same value has one form, whatever the order of its keys', () => {
  assert.equal(
    canonicalJson({ b: [1, 'x', null, true], a: { z: 0, ä: 1, A: 2 } }),
    '{"a":{"A":2,"z":0,"ä":1},"b":[1,"x",null,true]}',
  );
  assert.equal(canonicalJson({ a: 1, b: 2 }), canonicalJson({ b: 2, a: 1 }));
});

test('what another reader could read differently is not written', () => {
  const strange: readonly unknown[] = [
    1.5,
    Number.NaN,
    2 ** 53,
    -0,
    undefined,
    1n,
    '\ud800',
    new Map(),
    new Date(0),
  ];
  for (const value of strange) {
    assert.throws(
      () => canonicalJson({ value }),
      (error) => error instanceof AppError && error.kind === 'bug',
      String(value),
    );
  }
});
