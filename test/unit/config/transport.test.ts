import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/load.ts';
import { weakTransports } from '../../../src/config/transport.ts';

function warnings(source: string, s3: string, gcs = ''): string[] {
  const text = `
clusters:
  shop:
    sources:
      - { id: shop-1, ${source}, user: u, password: { env: P }, binlogDir: /b }
    stores:
      - { id: s3, s3: { bucket: shop-pitr, region: eu-west-1${s3} } }
      - { id: gcs, gcs: { bucket: shop-pitr${gcs} } }
    encryption: none
`;
  return parseConfig(text, '/x/pitrail.yaml').clusters.flatMap((cluster) =>
    weakTransports(cluster).map(({ part, message }) => `${part}: ${message}`),
  );
}

test('whatever is weaker than proven TLS is said, and nothing else', () => {
  assert.deepEqual(warnings('socket: /s', ''), []);
  assert.deepEqual(warnings('host: db-1, tls: { ca: ca.pem }', ', endpoint: "https://s3.example"'), []);
  assert.deepEqual(warnings('host: db-1, tls: { verify: identity }', ''), []);
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['host: db-1, tls: off', '', /^source shop\/shop-1: .*db-1:3306 is NOT ENCRYPTED/],
    ['host: 127.0.0.1, tls: required', '', /^source shop\/shop-1: .*127\.0\.0\.1:3306 is NOT PROVEN/],
    ['host: db-1, tls: { verify: off }', '', /NOT PROVEN/],
    ['host: db-1', '', /any certificate of an authority that this host trusts/],
    [
      'socket: /s',
      ', endpoint: "http://minio.example:9000"',
      /^store shop\/s3: .*minio\.example:9000 are NOT ENCRYPTED/,
    ],
    ['socket: /s', ', endpoint: "http://10.0.0.7"', /NOT ENCRYPTED/],
  ];
  for (const [source, s3, expected] of cases) {
    const [only, ...more] = warnings(source, s3);
    assert.match(only ?? '', expected, source + s3);
    assert.deepEqual(more, []);
  }
});

test('a bucket of Google is reached over proven TLS, and an emulator elsewhere is warned of', () => {
  assert.deepEqual(warnings('socket: /s', '', ', endpoint: "https://gcs.internal", caFile: ca.pem'), []);
  const emulator = (host: string) =>
    warnings('socket: /s', '', `, endpoint: "http://${host}:4443", credentials: anonymous`);
  assert.deepEqual(emulator('127.0.0.1'), []);
  const [only, ...more] = emulator('gcs.internal');
  assert.match(only ?? '', /^store shop\/gcs: .*gcs\.internal:4443 are NOT ENCRYPTED/);
  assert.deepEqual(more, []);
});

test('a store on this very machine may speak http: nothing leaves it', () => {
  for (const host of ['127.0.0.1:9000', 'localhost', '[::1]:9000', '127.8.9.10']) {
    assert.deepEqual(warnings('socket: /s', `, endpoint: "http://${host}"`), [], host);
  }
  for (const host of ['127.0.0.1.example', 'localhost.example']) {
    assert.equal(warnings('socket: /s', `, endpoint: "http://${host}"`).length, 1, host);
  }
});
