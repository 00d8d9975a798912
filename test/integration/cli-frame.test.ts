import { strict as assert } from 'node:assert';
import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { COMMANDS } from '../../src/cli/commands.ts';
import { assertNoCanary, canarySecret } from '../support/canary.ts';
import { testFolder } from '../support/folder.ts';
import { documentOf, PITRAIL, pitrail } from './cli-run.ts';

const run = promisify(execFile);
const folder = await testFolder();
after(() => folder.remove());

const CONFIG = `clusters:
  shop:
    sources:
      - { id: shop-1, socket: mysqld.sock, user: pitrail, password: { file: password }, binlogDir: data }
    stores:
      - { id: main, directory: store }
    encryption: { keyFile: key }
`;

interface ErrorDocument {
  readonly error: {
    readonly code: string;
    readonly kind: string;
    readonly message: string;
    readonly hint: string | null;
  };
}

async function configFile(name: string, text: string): Promise<string> {
  const file = join(folder.path, name);
  await writeFile(file, text);
  return file;
}

const MISTAKES: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['a mistyped command', ['chekc'], /unknown command 'chekc'[\s\S]*hint: Did you mean check\?/],
  [
    'a mistyped command of a group',
    ['config', 'shwo'],
    /unknown command 'shwo'[\s\S]*hint: Did you mean show\?/,
  ],
  ['a mistyped option', ['scan', '--jsno', 'x'], /unknown option '--jsno'[\s\S]*hint: Did you mean --json\?/],
  ['a group without its command', ['config'], /config needs to be told what to do: pitrail config show, /],
  ['help of a mistyped command', ['help', 'restor'], /unknown command 'restor'[\s\S]*Did you mean restore\?/],
  ['a missing argument', ['scan'], /missing required argument 'files'/],
  ['an argument too many', ['config', 'show', 'x'], /too many arguments/],
  ['an option without its value', ['status', '--cluster'], /argument missing/],
  ['an unknown log level', ['config', 'schema', '--log-level', 'loud'], /--log-level takes/],
];

for (const [what, args, words] of MISTAKES) {
  test(`${what} ends with 64, in words that help and nothing on stdout`, async () => {
    const { code, stdout, stderr } = await pitrail(args);
    assert.equal(code, 64, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, words);
    assert.match(stderr, /^pitrail: /);
  });
}

test('with --json an error is one document on stdout, and words on stderr', async () => {
  const ended = await pitrail(['scan', '--jsno', '--json', 'x']);
  assert.equal(ended.code, 64);
  const { error } = documentOf<ErrorDocument>(ended);
  assert.deepEqual([error.code, error.kind, error.hint], ['BadUsage', 'usage', 'Did you mean --json?']);
  assert.match(ended.stderr, /unknown option/);
});

test('every command has help with examples, on stdout, exit code 0', async () => {
  for (const { name, summary } of COMMANDS) {
    const { code, stdout, stderr } = await pitrail([...name.split(' '), '--help']);
    assert.deepEqual([code, stderr], [0, ''], name);
    assert.match(stdout, new RegExp(`Usage: pitrail ${name}`));
    assert.match(stdout, new RegExp(`Examples:\n  \\$ pitrail ${name}`), `${name} has an example`);
    assert.match(stdout, /--json/, name);
    assert(summary.length > 10);
  }
});

test('help lists every command; without a command it goes to stderr, exit code 64', async () => {
  const help = await pitrail(['help']);
  assert.equal(help.code, 0);
  for (const { name } of COMMANDS) assert.match(help.stdout, new RegExp(`\n  ${name.split(' ')[0]}`));
  const bare = await pitrail([]);
  assert.deepEqual([bare.code, bare.stdout], [64, '']);
  assert.match(bare.stderr, /Usage: pitrail/);
});

test('the schema is one JSON document', async () => {
  const { $schema, properties } = documentOf<Record<string, object>>(
    await pitrail(['config', 'schema', '--json']),
  );
  assert.equal($schema, 'https://json-schema.org/draft/2020-12/schema');
  assert('clusters' in (properties ?? {}));
});

test('the configuration is found by flag, variable and folder, in this order', async () => {
  const flag = await configFile('flag.yaml', CONFIG);
  const named = await configFile('named.yaml', CONFIG);
  const cwd = join(folder.path, 'cwd');
  await mkdir(cwd);
  await writeFile(join(cwd, 'pitrail.yaml'), CONFIG);
  const shown = async (args: readonly string[], env: Record<string, string>) =>
    documentOf<{ file: string }>(await pitrail(['config', 'show', '--json', ...args], { cwd, env })).file;
  assert.equal(await shown(['--config', flag], { PITRAIL_CONFIG: named }), flag);
  assert.equal(await shown([], { PITRAIL_CONFIG: named }), named);
  assert.equal(await shown([], {}), join(cwd, 'pitrail.yaml'));
});

test('a wrong configuration ends with 78, every error with its line', async () => {
  const file = await configFile(
    'wrong.yaml',
    CONFIG.replace('socket:', 'sokcet:').replace(
      'encryption: { keyFile: key }',
      'archive: { pol_seconds: 5 }',
    ),
  );
  const ended = await pitrail(['check', '--json', '--config', file]);
  assert.equal(ended.code, 78);
  const { error } = documentOf<ErrorDocument>(ended);
  assert.equal(error.code, 'ConfigInvalid');
  for (const text of [error.message, ended.stderr]) {
    assert(text.includes(`${file}:4:23: unknown key sokcet, did you mean socket`), text);
    assert(text.includes(`${file}:7:16: unknown key pol_seconds, did you mean pollSeconds`), text);
    assert(text.includes(`${file}:2:3: encryption is missing`), text);
  }
});

test('a secret in the configuration is refused, and shown nowhere', async () => {
  const secret = canarySecret();
  const file = await configFile('inline.yaml', CONFIG.replace('{ file: password }', secret));
  for (const args of [
    ['config', 'show'],
    ['config', 'show', '--json'],
    ['status', '--log-level', 'debug'],
  ]) {
    const { code, stdout, stderr } = await pitrail([...args, '--config', file]);
    assert.equal(code, 78);
    assert.match(stderr, /inline\.yaml:4:59: password is written here itself/);
    assertNoCanary('stdout', stdout);
    assertNoCanary('stderr', stderr);
  }
});

test('config check tells each secret and key that cannot be used, and shows none', async () => {
  const secret = canarySecret();
  const file = await configFile('check.yaml', CONFIG);
  await writeFile(join(folder.path, 'password'), secret, { mode: 0o600 });
  await writeFile(join(folder.path, 'key'), 'ab'.repeat(32), { mode: 0o600 });
  const good = await pitrail(['config', 'check', '--config', file]);
  assert.equal(good.code, 0, good.stderr);
  await chmod(join(folder.path, 'password'), 0o644);
  const open = await pitrail(['config', 'check', '--json', '--config', file]);
  assert.equal(open.code, 3);
  assert.match(open.stderr, /password has mode 0644: others on this host may read it[\s\S]*chmod 0600/);
  assert.equal(
    documentOf<{ references: { status: string }[] }>(open).references.filter(
      ({ status }) => status === 'unusable',
    ).length,
    1,
  );
  for (const { stdout, stderr } of [good, open]) assertNoCanary('the output', stdout + stderr);
});

test('Ctrl-C ends with 130 and says so', async () => {
  const fifo = join(folder.path, 'endless');
  await run('mkfifo', [fifo]);
  const child = spawn(PITRAIL, ['scan', fifo], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += String(text);
  });
  const writer = await open(fifo, 'w');
  const feed = (async () => {
    try {
      for (;;) await writer.write(Buffer.alloc(65_536));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EPIPE');
    }
  })();
  await sleep(700);
  child.kill('SIGINT');
  assert.equal(await ended, 130);
  assert.match(stderr, /pitrail: interrupted by SIGINT/);
  await feed;
  await writer.close();
});

test('a reader that goes away ends it quietly, not with success', async () => {
  const many = Array.from({ length: 2000 }, () => '/etc/hostname').join(' ');
  const { stdout, stderr } = await run('bash', [
    '-c',
    `'${PITRAIL}' scan --json ${many} 2>/dev/null | head -n 1 >/dev/null; echo "\${PIPESTATUS[0]}"`,
  ]);
  assert.deepEqual([stdout, stderr], ['141\n', '']);
});
