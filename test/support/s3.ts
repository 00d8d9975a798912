import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { type RunningProcess, startProcess } from '../../src/process/start.ts';
import { findTool } from '../../src/process/tools.ts';
import { canarySecret } from './canary.ts';
import { testFolder } from './folder.ts';
import { freePort } from './ports.ts';
import { untilServing } from './serving.ts';

/** A real S3 server (versitygw) on a folder. */
export interface TestS3 {
  readonly endpoint: string;
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly region: 'us-east-1';
  readonly bucket: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Where the objects lie as files: `<folder>/<bucket>/<key>`. */
  readonly folder: string;
  readonly pid: number;
  readonly logFile: string;
  /** A client for the test's own look at the store; path style, one attempt. */
  client(): S3Client;
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server on a free port and creates a bucket; a name needs three letters. */
export async function startS3(bucket = 'pitrail'): Promise<TestS3> {
  const dir = await testFolder('pt-s3');
  const tool = await findTool('versitygw');
  const folder = join(dir.path, 'objects');
  await mkdir(folder);
  const logFile = join(dir.path, 's3.log');
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: 'pitrail-test', secretAccessKey: canarySecret() };
  const region = 'us-east-1';
  // Credentials go by the environment: arguments can be read by everyone on the host.
  const env = {
    ROOT_ACCESS_KEY_ID: credentials.accessKeyId,
    ROOT_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
  const client = () => new S3Client({ endpoint, region, credentials, forcePathStyle: true, maxAttempts: 1 });
  let process: RunningProcess | null = null;
  const start = async () => {
    // One action at a time: versitygw 1.7.0 checks a precondition before it writes, not while, so of
    // writers that race several would be told that they created the object. S3 tells one.
    const args = ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', '--concurrency', '1', folder];
    process = await startProcess(tool, args, { logFile, env });
    await untilServing(`the S3 server at ${endpoint}`, { process, logFile }, () => ask(endpoint));
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
    get pid() {
      if (process === null) throw new Error('the S3 server is down');
      return process.pid;
    },
    client,
    kill,
    start,
    async stop() {
      await kill();
      await dir.remove();
    },
  };
}

/** Any HTTP answer, a refusal too, shows that it serves. */
async function ask(endpoint: string): Promise<void> {
  const response = await fetch(endpoint, { signal: AbortSignal.timeout(2_000) });
  await response.arrayBuffer();
}
