import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { formatListen, parseListen } from '../../../src/config/listen.ts';
import { parseConfig } from '../../../src/config/load.ts';

const CONFIG = 'clusters: { shop: { stores: [{ id: main, directory: s }], encryption: none } }';

test('an address without a host is this host only; any other must be said', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['9464', '127.0.0.1:9464'],
    [':9464', '127.0.0.1:9464'],
    ['0', '127.0.0.1:0'],
    ['localhost:1', 'localhost:1'],
    ['0.0.0.0:9464', '0.0.0.0:9464'],
    ['[::1]:9464', '[::1]:9464'],
    ['[::]:65535', '[::]:65535'],
  ];
  for (const [text, meant] of cases) assert.equal(formatListen(parseListen(text)), meant, text);
  for (const text of [
    '',
    'x',
    '127.0.0.1',
    '1.2.3.4:',
    ':99999',
    '::1:9464',
    'a b:1',
    '9464 ',
    'http://x:1',
  ]) {
    assert.throws(() => parseListen(text), { code: 'BadListen', kind: 'usage' }, text);
  }
});

test('workers serve nothing unless the file says where', () => {
  const listen = (text: string) => parseConfig(`${text}\n${CONFIG}`, '/x/y.yaml').worker.listen;
  assert.equal(listen(''), null);
  assert.equal(listen('worker: {}'), null);
  assert.deepEqual(listen('worker: { listen: 9464 }'), { host: '127.0.0.1', port: 9464 });
  assert.deepEqual(listen('worker: { listen: "0.0.0.0:9464" }'), { host: '0.0.0.0', port: 9464 });
  assert.throws(() => listen('worker: { listen: everywhere }'), /listen .*must be PORT or HOST:PORT/);
});
