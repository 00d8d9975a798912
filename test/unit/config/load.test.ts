import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/load.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { PLAIN_RULES } from '../../support/store-rules.ts';

const GOOD = `clusters:
  shop:
    sources:
      - id: shop-1
        socket: run/mysqld.sock
        user: pitrail
        password: { file: secrets/shop-1 }
        binlogDir: /var/lib/mysql
    stores:
      - { id: main, directory: store }
      - { id: s3, s3: { bucket: shop-pitr, region: eu-west-1, prefix: prod } }
    encryption: { keyFile: key }
    archive: { pollSeconds: 5, rotateSeconds: 60 }
`;

function errorsOf(text: string): readonly string[] {
  try {
    parseConfig(text, '/etc/pitrail/pitrail.yaml');
  } catch (error) {
    assert(error instanceof AppError);
    assert.equal(error.kind, 'config');
    assert.equal(error.code, 'ConfigInvalid');
    const lines = error.facts['errors'];
    assert(Array.isArray(lines));
    for (const line of lines) assert(error.message.includes(line), 'the message holds every error');
    return lines.map((line: string) => line.replace('/etc/pitrail/pitrail.yaml:', ''));
  }
  return assert.fail('the configuration was taken');
}

function oneError(from: string, to: string): string {
  assert(GOOD.includes(from), `the sample holds ${from}`);
  const errors = errorsOf(GOOD.replace(from, to));
  assert.equal(errors.length, 1, errors.join('\n'));
  return errors[0] ?? '';
}

test('paths are relative to the file, and every default is filled in', () => {
  const config = parseConfig(GOOD, '/etc/pitrail/pitrail.yaml');
  const [cluster] = config.clusters;
  assert(cluster !== undefined);
  assert.deepEqual(cluster.sources[0], {
    id: 'shop-1',
    workerHost: 'local',
    endpoint: { kind: 'socket', socket: '/etc/pitrail/run/mysqld.sock' },
    user: 'pitrail',
    password: { file: '/etc/pitrail/secrets/shop-1' },
    mode: 'host',
    binlogDir: '/var/lib/mysql',
    stagingDir: '/var/lib/pitrail-staging/shop/shop-1',
    redundancy: 1,
    role: 'archived',
    limitBytesPerSecond: null,
  });
  assert.deepEqual(cluster.stores[0], {
    kind: 'directory',
    id: 'main',
    directory: '/etc/pitrail/store',
    ...PLAIN_RULES,
  });
  assert.deepEqual(cluster.encryption, { kind: 'key-file', keyFile: '/etc/pitrail/key' });
  assert.deepEqual(cluster.archive, {
    pollSeconds: 5,
    rotateSeconds: 60,
    parallelTransfers: 4,
    fallback: null,
    level: 3,
    stagingMaxBytes: 100 * 1024 ** 3,
  });
  assert.equal(config.region, 'local');
});

test('as many sources of a cluster are archived as redundancy says, and the others stand by', () => {
  const source = / {6}- id: shop-1\n(?: {8}.*\n)+/.exec(GOOD)?.[0] ?? assert.fail(GOOD);
  const three = GOOD.replace(
    source,
    ['shop-1', 'shop-2', 'shop-3'].map((id) => source.replace('shop-1', id)).join(''),
  );
  const roles = (archive: string) =>
    parseConfig(
      three.replace('{ pollSeconds', `{ ${archive}pollSeconds`),
      '/x/y.yaml',
    ).clusters[0]?.sources.map(({ role }) => role);
  assert.deepEqual(roles(''), ['archived', 'fallback', 'fallback']);
  assert.deepEqual(roles('redundancy: 2, '), ['archived', 'archived', 'fallback']);
  const named = 'redundancy: 2, fallback: { sources: [shop-1, shop-3] }, ';
  assert.deepEqual(roles(named), ['fallback', 'archived', 'fallback']);
});

test('no two sources stage into one folder, whatever their clusters call them', () => {
  const [, shop = ''] = GOOD.split('clusters:\n');
  for (const where of ['', 'stagingDir: /staging, ']) {
    const two = `clusters:\n${shop}${shop.replace('  shop:', '  other:').replace('directory: store', 'directory: store2').replace('prefix: prod', 'prefix: two')}`;
    const { clusters } = parseConfig(two.replaceAll('{ pollSeconds', `{ ${where}pollSeconds`), '/x/y.yaml');
    const folders = clusters.flatMap(({ sources }) => sources.map(({ stagingDir }) => stagingDir));
    assert.equal(folders.length, 2);
    assert.equal(new Set(folders).size, 2, folders.join(' '));
  }
});

test('a server over TCP must prove itself unless the file says otherwise', () => {
  const endpoint = (fields: string) =>
    parseConfig(GOOD.replace('socket: run/mysqld.sock', fields), '/x/y.yaml').clusters[0]?.sources[0]
      ?.endpoint;
  const tcp = { kind: 'tcp', host: 'db-1', port: 3306 };
  const ca = '/x/ca.pem';
  assert.deepEqual(endpoint('host: db-1'), { ...tcp, tls: { verify: 'ca', ca: null } });
  const choices: readonly (readonly [string, unknown])[] = [
    ['off', 'off'],
    ['required', 'required'],
    ['{ verify: off }', 'required'],
    ['{ ca: ca.pem }', { verify: 'ca', ca }],
    ['{ verify: ca }', { verify: 'ca', ca: null }],
    ['{ verify: identity, ca: ca.pem }', { verify: 'identity', ca }],
  ];
  for (const [written, tls] of choices) {
    assert.deepEqual(endpoint(`host: db-1\n        tls: ${written}`), { ...tcp, tls }, written);
  }
  assert.throws(
    () => endpoint('host: db-1\n        tls: { verify: off, ca: ca.pem }'),
    /ca stands beside verify: off/,
  );
});

test('a mistyped key is refused with its line and what was meant', () => {
  assert.equal(
    oneError('pollSeconds', 'pol_seconds'),
    '13:16: unknown key pol_seconds, did you mean pollSeconds',
  );
  assert.equal(oneError('    archive:', '    arhcive:'), '13:5: unknown key arhcive, did you mean archive');
  assert.equal(
    oneError('bucket: shop-pitr,', 'bucket: shop-pitr, path_style: true,'),
    '11:44: unknown key path_style, did you mean pathStyle',
  );
});

test('a wrong value is quoted with what it must be', () => {
  assert.equal(
    oneError('pollSeconds: 5', 'pollSeconds: soon'),
    '13:16: pollSeconds is "soon", but must be a number',
  );
  assert.equal(
    oneError('rotateSeconds: 60', 'rotateSeconds: -1'),
    '13:32: rotateSeconds is -1, but must be at least 0',
  );
  assert.equal(
    oneError('{ keyFile: key }', 'nope'),
    '12:5: encryption is "nope", but must be none or { keyFile: … }',
  );
  assert.equal(
    oneError('    encryption: { keyFile: key }\n', ''),
    '2:3: encryption is missing: none or { keyFile: … }',
  );
  assert.equal(oneError('user: pitrail', 'user: [a]'), '6:9: user is a list, but must be text');
});

test('a secret written into the file is refused and never repeated', () => {
  const secret = 'hunter2-canary';
  const forms = [
    `password: ${secret}`,
    `password: [${secret}]`,
    `password: { ${secret} }`,
    `password: { file: a, value: ${secret} }`,
    `password: *${secret}`,
    `password: !${secret} x`,
    `password: "${secret}`,
    `password: { plain: ${secret} }\n        pasword: ${secret}`,
    `password: @${secret}`,
    `password: { env: "${secret} " }`,
  ];
  for (const form of forms) {
    const errors = errorsOf(GOOD.replace('password: { file: secrets/shop-1 }', form));
    assert(errors.length > 0);
    assert(!errors.join('\n').includes(secret), `${form} is repeated: ${errors.join('\n')}`);
  }
  const url = 'endpoint: "https://AKIA:hunter2-canary@s3.example"';
  assert(!oneError('region: eu-west-1', `region: eu-west-1, ${url}`).includes(secret));
});

test('choices that exclude one another, and ids and stores that collide, are named', () => {
  assert.match(
    oneError('socket: run/mysqld.sock', 'user2: x\n        socket: a').toString(),
    /unknown key user2, did you mean user/,
  );
  assert.match(
    oneError('socket: run/mysqld.sock', 'socket: a\n        host: b'),
    /^6:9: host stands beside socket/,
  );
  assert.match(oneError('        socket: run/mysqld.sock\n', ''), /neither socket nor host/);
  assert.match(
    oneError('directory: store }', 'directory: store, s3: { bucket: aaa, region: r } }'),
    /^10:39: s3 stands beside directory/,
  );
  assert.match(oneError('id: s3,', 'id: main,'), /^11:11: id main stands twice in stores/);
  assert.match(
    oneError(
      '- { id: s3, s3: { bucket: shop-pitr, region: eu-west-1, prefix: prod } }',
      '- { id: b, directory: store/inner }',
    ),
    /^11:18: \/etc\/pitrail\/store\/inner and \/etc\/pitrail\/store lie in one another/,
  );
  assert.match(oneError('prefix: prod', 'prefix: prod, accessKeyId: { env: A }'), /accessKeyId stands alone/);
});

test('two clusters may not share a place', () => {
  const second = GOOD.split('\n')
    .slice(1)
    .join('\n')
    .replace('shop:', 'other:')
    .replace('directory: store', 'directory: other');
  const errors = errorsOf(GOOD + second);
  assert.deepEqual(errors, [
    '23:19: s3://shop-pitr/prod is another store already: each store of each cluster needs a place of its own',
  ]);
});

test('all errors are told at once, in the order of the file', () => {
  const errors = errorsOf(
    GOOD.replace('user: pitrail', 'user: 7')
      .replace('bucket: shop-pitr', 'bucket: X')
      .replace('pollSeconds: 5', 'pollSecond: 5')
      .replace('        socket: run/mysqld.sock\n', ''),
  );
  assert.deepEqual(
    errors.map((line) => line.split(':')[0]),
    ['4', '5', '10', '12'],
  );
});

test('what is no YAML, or empty, is refused with its line', () => {
  assert.match(errorsOf('clusters:\n\tshop: 1\n')[0] ?? '', /^2:1: a tab indents this line/);
  assert.match(errorsOf('')[0] ?? '', /^1:1: the file is empty/);
  assert.match(errorsOf('clusters: {}\n')[0] ?? '', /^1:1: clusters is empty/);
  assert.match(
    errorsOf(GOOD.replace('user: pitrail', 'user: a\n        user: b'))[0] ?? '',
    /^7:9: this key stands twice/,
  );
});

const GCS = '- { id: gcs, gcs: { bucket: shop-pitr, prefix: prod } }';
const S3_LINE = '- { id: s3, s3: { bucket: shop-pitr, region: eu-west-1, prefix: prod } }';

function gcsStore(fields: string) {
  const text = GOOD.replace(S3_LINE, GCS.replace('prefix: prod', fields));
  return parseConfig(text, '/etc/pitrail/pitrail.yaml').clusters[0]?.stores[1];
}

function gcsError(fields: string): string {
  return oneError(S3_LINE, GCS.replace('prefix: prod', fields));
}

test('a bucket of Google: the usual credentials, a key by reference, or nobody at an emulator', () => {
  assert.deepEqual(gcsStore('prefix: prod'), {
    kind: 'gcs',
    id: 'gcs',
    bucket: 'shop-pitr',
    prefix: 'prod',
    endpoint: null,
    caFile: null,
    billedProject: null,
    credentials: 'default',
    protection: { retention: null, hold: null },
    ...PLAIN_RULES,
  });
  const whole = gcsStore(
    'credentials: { file: key.json }, caFile: ca.pem, projectId: paying, retentionDays: 30, retentionMode: locked, hold: temporary',
  );
  assert(whole?.kind === 'gcs');
  assert.deepEqual(whole.credentials, { file: '/etc/pitrail/key.json' });
  assert.equal(whole.caFile, '/etc/pitrail/ca.pem');
  assert.equal(whole.billedProject, 'paying');
  assert.deepEqual(whole.protection, { retention: { days: 30, mode: 'locked' }, hold: 'temporary' });
  const emulator = gcsStore('endpoint: "http://gcs:4443", credentials: anonymous, retentionDays: 1');
  assert(emulator?.kind === 'gcs');
  assert.deepEqual([emulator.endpoint, emulator.credentials], ['http://gcs:4443', 'anonymous']);
  assert.deepEqual(emulator.protection.retention, { days: 1, mode: 'unlocked' });
});

test('a token is not sent where others can listen, and nobody writes at Google', () => {
  assert.match(gcsError('endpoint: "http://gcs:4443"'), /^11:46: endpoint is not encrypted/);
  assert.match(
    gcsError('endpoint: "http://gcs:4443", credentials: { env: KEY }'),
    /whoever listens would have the token/,
  );
  assert.match(gcsError('credentials: anonymous'), /credentials is anonymous without an endpoint/);
  assert.match(gcsError('endpoint: "https://user:hunter2-canary@gcs"'), /endpoint holds a user or password/);
  assert.match(gcsError('retentionMode: locked'), /retentionMode stands alone/);
  assert.match(gcsError('hold: forever'), /hold is "forever", but must be "event-based" or "temporary"/);
});

test('a service account key written into the file is refused and never repeated', () => {
  const secret = 'hunter2-canary';
  for (const form of [
    secret,
    `{ private_key: ${secret} }`,
    `{ file: a, private_key: ${secret} }`,
    `[${secret}]`,
    `{ ${secret}: 1 }`,
  ]) {
    const told = gcsError(`credentials: ${form}`);
    assert(!told.includes(secret), told);
    assert.match(told, /credentials .*(anonymous|exactly one)/);
  }
});

test('a store has one home, and two buckets of one name at two providers are two places', () => {
  assert.match(
    oneError('directory: store }', 'directory: store, gcs: { bucket: aaa } }'),
    /^10:39: gcs stands beside directory/,
  );
  const homeless = errorsOf(GOOD.replace('directory: store }', 'kind: gcs }'));
  assert.match(homeless[0] ?? '', /^10:9: this store has neither directory nor s3 nor gcs/);
  const both = GOOD.replace(S3_LINE, `${S3_LINE}\n      ${GCS}`);
  assert.equal(parseConfig(both, '/x/y.yaml').clusters[0]?.stores.length, 3);
  const twice = errorsOf(GOOD.replace(S3_LINE, `${GCS}\n      ${GCS.replace('id: gcs', 'id: again')}`));
  assert.match(twice[0] ?? '', /gs:\/\/shop-pitr\/prod is another store already/);
});

test('a store may be one that nobody waits for, with a limit and a depth of proof; one store is required', () => {
  const rules = 'directory: store, policy: catch-up, limitPerSecond: 20 MiB, verify: first-8k';
  const { clusters } = parseConfig(GOOD.replace('directory: store', rules), '/x/y.yaml');
  const [store] = clusters[0]?.stores ?? [];
  assert(store !== undefined);
  const { policy, limitBytesPerSecond, verify } = store;
  assert.deepEqual([policy, limitBytesPerSecond, verify], ['catch-up', 20 * 1024 ** 2, 'first-8k']);
  const none = GOOD.replace('directory: store', 'directory: store, policy: catch-up').replace(
    '{ id: s3,',
    '{ id: s3, policy: catch-up,',
  );
  assert.match(errorsOf(none)[0] ?? '', /every store is catch-up: at least one must be required/);
});

const REMOTE = GOOD.replace('binlogDir: /var/lib/mysql', 'mode: remote').replace(
  'rotateSeconds: 60',
  'rotateSeconds: 60, stagingDir: staging',
);

test('a remote source needs no folder of binlogs, and has a server_id of its own that never changes', () => {
  const parsed = (text: string) => parseConfig(text, '/etc/pitrail/pitrail.yaml').clusters[0]?.sources[0];
  const source = parsed(REMOTE);
  assert(source?.mode === 'remote');
  assert.equal(source.stagingDir, '/etc/pitrail/staging/shop/shop-1');
  assert.equal(source.stageAheadBytes, 4 * 2 ** 30);
  assert(source.replicaServerId > 2 ** 31 && source.replicaServerId < 2 ** 32);
  assert.deepEqual(parsed(REMOTE), source);
  const chosen = parsed(
    REMOTE.replace('mode: remote', 'mode: remote\n        replicaServerId: 77\n        stagingDir: /srv/own'),
  );
  assert(chosen?.mode === 'remote');
  assert.deepEqual([chosen.replicaServerId, chosen.stagingDir], [77, '/srv/own/shop/shop-1']);
});

test('what means nothing in the mode of a source is refused, and so is what is missing there', () => {
  assert.match(
    oneError('        binlogDir: /var/lib/mysql\n', ''),
    /^4:9: binlogDir is missing: .*mode: remote/,
  );
  assert.match(
    oneError('binlogDir: /var/lib/mysql', 'mode: remote'),
    /^8:9: mode: remote needs a stagingDir/,
  );
  assert.match(
    oneError('binlogDir: /var/lib/mysql', 'binlogDir: /var/lib/mysql\n        replicaServerId: 5'),
    /^9:9: replicaServerId means nothing in mode host/,
  );
  const both = errorsOf(REMOTE.replace('mode: remote', 'mode: remote\n        binlogDir: /var/lib/mysql'));
  assert.match(both.join('\n'), /^9:9: binlogDir stands beside mode: remote/);
  assert.match(
    oneError('binlogDir: /var/lib/mysql', 'binlogDir: b\n        mode: elsewhere'),
    /mode is "elsewhere"/,
  );
});
