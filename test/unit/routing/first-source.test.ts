import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstSource } from '../../../src/handoff/manifests.ts';

const archived = (id: string) => ({ id, role: 'archived' as const });
const fallback = (id: string) => ({ id, role: 'fallback' as const });

test('before any handoff the only other source that is archived hands over, and nobody to itself', () => {
  const sources = [archived('shop-1'), fallback('shop-2')];
  assert.deepEqual(firstSource(sources, 'shop-2'), { kind: 'one', source: 'shop-1' });
  assert.deepEqual(firstSource(sources, 'shop-1'), { kind: 'none', to: 'shop-1' });
  const three = [archived('shop-1'), archived('shop-2'), archived('shop-3')];
  assert.deepEqual(firstSource(three, 'shop-3'), { kind: 'several' });
});
