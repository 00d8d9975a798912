import { strict as assert } from 'node:assert';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { formatListen } from '../../../src/config/listen.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { type Answer, type Endpoint, serveEndpoint } from '../../../src/worker/endpoint.ts';
import { assertNoCanary, canarySecret } from '../../support/canary.ts';

let endpoint: Endpoint;
let base: string;

before(async () => {
  const secret = canarySecret();
  const pages = new Map<string, () => Promise<Answer>>([
    ['/metrics', async () => ({ status: 200, type: 'text/plain', body: 'a 1\n' })],
    ['/health/ready', async () => ({ status: 503, type: 'application/json', body: '{}\n' })],
    [
      '/broken',
      async (): Promise<never> => {
        throw new AppError({ code: 'Broken', kind: 'bug', message: secret });
      },
    ],
  ]);
  endpoint = await serveEndpoint({ host: '127.0.0.1', port: 0 }, pages);
  base = `http://${formatListen(endpoint.address)}`;
});
after(() => endpoint.close());

async function ask(path: string, method = 'GET'): Promise<readonly [number, string]> {
  const response = await fetch(base + path, { method });
  const text = await response.text();
  assertNoCanary(path, text + JSON.stringify([...response.headers]));
  return [response.status, text];
}

test('pages answer to GET and HEAD, by path, whatever the query', async () => {
  assert.deepEqual(await ask('/metrics'), [200, 'a 1\n']);
  assert.deepEqual(await ask('/metrics?x=1'), [200, 'a 1\n']);
  assert.deepEqual(await ask('/metrics', 'HEAD'), [200, '']);
  assert.deepEqual(await ask('/health/ready'), [503, '{}\n']);
});

test('anything else is refused, and an error shows its name and nothing more', async () => {
  assert.equal((await ask('/'))[0], 404);
  assert.equal((await ask('/metrics/../etc'))[0], 404);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    assert.equal((await ask('/metrics', method))[0], 405, method);
  }
  assert.deepEqual(await ask('/broken'), [500, '{"error":"Broken"}\n']);
});

test('an address that is taken is said, with its name', async () => {
  await assert.rejects(serveEndpoint(endpoint.address, new Map()), {
    code: 'ListenFailed',
    kind: 'unavailable',
  });
});

test('a client that sends nothing does not keep the endpoint from closing', async () => {
  const other = await serveEndpoint({ host: '127.0.0.1', port: 0 }, new Map());
  const socket = connect(other.address.port, other.address.host);
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.on('error', () => undefined);
  await other.close();
  socket.destroy();
});
