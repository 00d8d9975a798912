import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import versions from '../../scripts/versions.json' with { type: 'json' };
import { configSchema } from '../../src/config/schema.ts';

const root = resolve(import.meta.dirname, '../..');

/** The part of the Compose Specification that the file uses; anything else in it is refused. */
const condition = z.enum(['service_started', 'service_healthy', 'service_completed_successfully']);
const service = z.strictObject({
  image: z.string().regex(/^[a-z0-9./-]+:[A-Za-z0-9.-]+$/),
  command: z.array(z.string()),
  user: z.string().optional(),
  init: z.boolean().optional(),
  working_dir: z.string().startsWith('/').optional(),
  environment: z.record(z.string(), z.string()).optional(),
  configs: z.array(z.strictObject({ source: z.string(), target: z.string().startsWith('/') })).optional(),
  volumes: z.array(z.string().regex(/^[a-z.][a-z-]*:\/[a-z/_-]+$/)),
  ports: z.array(z.string()).optional(),
  restart: z.literal('unless-stopped').optional(),
  healthcheck: z
    .strictObject({
      test: z.array(z.string()).min(2),
      interval: z.string(),
      timeout: z.string(),
      retries: z.int(),
    })
    .optional(),
  depends_on: z.record(z.string(), z.strictObject({ condition })).optional(),
});
const compose = z.strictObject({
  name: z.string(),
  services: z.record(z.string(), service),
  configs: z.record(z.string(), z.strictObject({ content: z.string() })),
  volumes: z.record(z.string(), z.null()),
});

const file = compose.parse(parse(await readFile(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }));

test('offers MySQL, Temporal with its web UI, an S3 and a GCS server and a worker', () => {
  assert.deepEqual(Object.keys(file.services), ['mysql', 'temporal', 's3', 'gcs', 'prepare', 'worker']);
  assert.ok(file.services['temporal']?.ports?.some((port) => port.endsWith(':8233')));
  assert.ok(!file.services['temporal']?.command.includes('--headless'));
});

test('runs the versions that set-up runs', () => {
  assert.match(file.services['temporal']?.image ?? '', new RegExp(`:${versions.temporal.version}$`));
  assert.match(file.services['s3']?.image ?? '', new RegExp(`:v${versions.versitygw.version}$`));
  assert.match(file.services['gcs']?.image ?? '', new RegExp(`:${versions['fake-gcs-server'].version}$`));
  assert.match(file.services['worker']?.image ?? '', new RegExp(`^node:${versions.node.major}-`));
});

test('every volume, configuration and service that is named exists, and none is spare', () => {
  const services = Object.values(file.services);
  const named = services.flatMap((one) => one.volumes.map((volume) => volume.split(':')[0] ?? ''));
  assert.deepEqual(
    [...new Set(named)].filter((name) => name !== '.').sort(),
    Object.keys(file.volumes).sort(),
  );
  const configs = services.flatMap((one) => one.configs ?? []).map((config) => config.source);
  assert.deepEqual(configs.sort(), Object.keys(file.configs).sort());
  for (const one of services) {
    for (const [name, { condition: wanted }] of Object.entries(one.depends_on ?? {})) {
      const needed = file.services[name];
      assert.ok(needed !== undefined, name);
      assert.ok(wanted !== 'service_healthy' || needed.healthcheck !== undefined, `${name} tells no health`);
    }
  }
});

test('ports are open to this machine only', () => {
  for (const port of Object.values(file.services).flatMap((one) => one.ports ?? [])) {
    assert.match(port, /^127\.0\.0\.1:/);
  }
});

test("the worker's configuration is valid, and its secrets reach it by the environment", () => {
  const written = configSchema.parse(parse(file.configs['pitrail']?.content ?? ''));
  const environment = file.services['worker']?.environment ?? {};
  const references = [...(file.configs['pitrail']?.content ?? '').matchAll(/env: ([A-Z0-9_]+)/g)].map(
    ([, name]) => name,
  );
  assert.deepEqual(
    written.clusters['shop']?.stores.map((store) => store.id),
    ['main', 's3', 'gcs'],
  );
  assert.ok(references.length >= 3);
  for (const name of references) assert.ok(name !== undefined && name in environment, name);
});
