import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { type RunningProcess, startProcess } from '../../src/process/start.ts';
import { findTool } from '../../src/process/tools.ts';
import { canarySecret } from './canary.ts';
import type { Certificate } from './certificates.ts';
import { testFolder } from './folder.ts';
import { freePort } from './ports.ts';
import { untilServing } from './serving.ts';

export interface TestS3Options {
  /** Further accounts, which may do nothing until a bucket policy says so. */
  readonly users?: readonly S3Account[];
  /** Serves https with this certificate, which must be valid for 127.0.0.1; `caPem` signed it. */
  readonly tls?: { readonly certificate: Certificate; readonly caPem: string };
  /** Keeps the versions of objects, where a bucket asks for it. */
  readonly versions?: 'kept' | 'none';
  /** Keeps connections open between requests, as S3 does; versitygw itself closes each after its answer. */
  readonly connections?: 'kept' | 'closed';
}

export interface S3Account {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A real S3 server (versitygw) on a folder. */
export interface TestS3 {
  readonly endpoint: string;
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly region: 'us-east-1';
  readonly bucket: string;
  readonly credentials: S3Account;
  /** Where the objects lie as files: `<folder>/<bucket>/<key>`. */
  readonly folder: string;
  readonly pid: number;
  readonly logFile: string;
  /** A line for each request, as S3 writes its server access logs. */
  readonly accessLog: string;
  /** A client for the test's own look at the store; path style, one attempt; root's unless another account is given. */
  client(account?: S3Account): S3Client;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Starts the server anew with another certificate. @throws where it does not serve https */
  present(certificate: Certificate): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server on a free port and creates a bucket; a name needs three letters. */
export async function startS3(bucket = 'pitrail', options: TestS3Options = {}): Promise<TestS3> {
  const { tls } = options;
  const dir = await testFolder('pt-s3');
  const tool = await findTool('versitygw');
  const folder = join(dir.path, 'objects');
  await mkdir(folder);
  const logFile = join(dir.path, 's3.log');
  const port = await freePort();
  const endpoint = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  const accessLog = join(dir.path, 'access.log');
  const credentials = { accessKeyId: 'pitrail-test', secretAccessKey: canarySecret() };
  const region = 'us-east-1';
  // Credentials go by the environment: arguments can be read by everyone on the host.
  const env = {
    ROOT_ACCESS_KEY_ID: credentials.accessKeyId,
    ROOT_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
  const agent = tls === undefined ? {} : { requestHandler: { httpsAgent: { ca: tls.caPem } } };
  const client = (account: S3Account = credentials) =>
    new S3Client({
      ...{ endpoint, region, credentials: account, forcePathStyle: true, maxAttempts: 1 },
      ...agent,
    });
  const extra = await extraArguments(dir.path, options);
  let process: RunningProcess | null = null;
  const start = async () => {
    // One action at a time: versitygw 1.7.0 checks a precondition before it writes, not while, so of
    // writers that race several would be told that they created the object. S3 tells one.
    const posix = ['posix', '--concurrency', '1', ...extra.posix, folder];
    const args = [
      '--port',
      `127.0.0.1:${port}`,
      '--quiet',
      '--access-log',
      accessLog,
      ...extra.gateway,
      ...posix,
    ];
    process = await startProcess(tool, args, { logFile, env });
    await untilServing(`the S3 server at ${endpoint}`, { process, logFile }, () => ask(port));
  };
  const kill = async () => {
    process?.kill('SIGKILL');
    await process?.exited;
    process = null;
  };
  await start();
  const once = client();
  await once.send(new CreateBucketCommand({ Bucket: bucket }));
  once.destroy();
  return {
    endpoint,
    host: '127.0.0.1',
    port,
    region,
    bucket,
    credentials,
    folder,
    logFile,
    accessLog,
    get pid() {
      if (process === null) throw new Error('the S3 server is down');
      return process.pid;
    },
    client,
    kill,
    start,
    async present(certificate) {
      if (tls === undefined) throw new Error('the S3 server has no certificate');
      await writeCertificate(dir.path, certificate);
      await kill();
      await start();
    },
    async stop() {
      await kill();
      await dir.remove();
    },
  };
}

/** Accounts go by a file, as the gateway keeps them itself: arguments can be read by everyone on the host. */
async function extraArguments(
  dir: string,
  { users, tls, versions, connections }: TestS3Options,
): Promise<{ readonly gateway: readonly string[]; readonly posix: readonly string[] }> {
  const gateway: string[] = [];
  if (users !== undefined) {
    const iam = join(dir, 'iam');
    await mkdir(iam);
    const accounts = users.map(({ accessKeyId: access, secretAccessKey: secret }) => [
      access,
      { access, secret, role: 'user', userID: 0, groupID: 0, projectID: 0 },
    ]);
    const file = join(iam, 'users.json');
    await writeFile(file, JSON.stringify({ accessAccounts: Object.fromEntries(accounts) }), { mode: 0o600 });
    gateway.push('--iam-dir', iam);
  }
  if (tls !== undefined) {
    const { cert, key } = await writeCertificate(dir, tls.certificate);
    gateway.push('--cert', cert, '--key', key);
  }
  if (connections === 'kept') gateway.push('--keep-alive');
  if (versions !== 'kept') return { gateway, posix: [] };
  await mkdir(join(dir, 'versions'));
  return { gateway, posix: ['--versioning-dir', join(dir, 'versions')] };
}

async function writeCertificate(dir: string, certificate: Certificate): Promise<Certificate> {
  const paths = { cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') };
  await writeFile(paths.cert, certificate.cert);
  await writeFile(paths.key, certificate.key, { mode: 0o600 });
  return paths;
}

/** It serves once it takes connections. */
async function ask(port: number): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, signal: AbortSignal.timeout(2_000) });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
