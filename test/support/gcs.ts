import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type RunningProcess, startProcess } from '../../src/process/start.ts';
import { findTool } from '../../src/process/tools.ts';
import { testFolder } from './folder.ts';
import { freePort } from './ports.ts';
import { untilServing } from './serving.ts';

/** A real server of the GCS protocol (fake-gcs-server) on a folder. It asks for no credentials. */
export interface TestGcs {
  readonly endpoint: string;
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly bucket: string;
  /** Where the objects lie as files: `<folder>/<bucket>/<key>`. */
  readonly folder: string;
  readonly pid: number;
  readonly logFile: string;
  /** What the server itself says of an object. @throws where there is none */
  resource(objectKey: string): Promise<Readonly<Record<string, unknown>>>;
  /** Replaces an object without a condition, as somebody else would. */
  replace(objectKey: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server on a free port and creates a bucket. */
export async function startGcs(bucket = 'pitrail'): Promise<TestGcs> {
  const dir = await testFolder('pt-gcs');
  const tool = await findTool('fake-gcs-server');
  const folder = join(dir.path, 'objects');
  await mkdir(folder);
  const logFile = join(dir.path, 'gcs.log');
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  let process: RunningProcess | null = null;
  const start = async () => {
    const where = ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port)];
    const args = [...where, '-backend', 'filesystem', '-filesystem-root', folder, '-log-level', 'warn'];
    process = await startProcess(tool, args, { logFile });
    await untilServing(`the GCS server at ${endpoint}`, { process, logFile }, async () => {
      await ask(`${endpoint}/storage/v1/b?project=test`);
    });
  };
  const kill = async () => {
    process?.kill('SIGKILL');
    await process?.exited;
    process = null;
  };
  await start();
  await ask(`${endpoint}/storage/v1/b?project=test`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: bucket }),
  });
  return {
    endpoint,
    host: '127.0.0.1',
    port,
    bucket,
    folder,
    logFile,
    get pid() {
      if (process === null) throw new Error('the GCS server is down');
      return process.pid;
    },
    async resource(objectKey) {
      return JSON.parse(await ask(`${endpoint}/storage/v1/b/${bucket}/o/${encodeURIComponent(objectKey)}`));
    },
    async replace(objectKey, bytes) {
      const url = `${endpoint}/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(objectKey)}`;
      await ask(url, { method: 'POST', body: bytes });
    },
    kill,
    start,
    async stop() {
      await kill();
      await dir.remove();
    },
  };
}

async function ask(url: string, options: RequestInit = {}): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000), ...options });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${text}`);
  return text;
}
