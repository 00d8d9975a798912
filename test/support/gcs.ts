import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { join } from 'node:path';
import { type RunningProcess, startProcess } from '../../src/process/start.ts';
import { findTool } from '../../src/process/tools.ts';
import type { Certificate } from './certificates.ts';
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

export interface TestGcsOptions {
  /** Serves https with it. `caPem` signed it. */
  readonly tls?: { readonly certificate: Certificate; readonly caPem: string };
}

/** Starts a server on a free port and creates a bucket. */
export async function startGcs(bucket = 'pitrail', { tls }: TestGcsOptions = {}): Promise<TestGcs> {
  const dir = await testFolder('pt-gcs');
  const tool = await findTool('fake-gcs-server');
  const folder = join(dir.path, 'objects');
  await mkdir(folder);
  const logFile = join(dir.path, 'gcs.log');
  const port = await freePort();
  const scheme = tls === undefined ? 'http' : 'https';
  const endpoint = `${scheme}://127.0.0.1:${port}`;
  const ask = asker(tls?.caPem);
  const certificate = tls === undefined ? [] : await certificateFiles(dir.path, tls.certificate);
  let process: RunningProcess | null = null;
  const start = async () => {
    const where = ['-scheme', scheme, '-host', '127.0.0.1', '-port', String(port), ...certificate];
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

async function certificateFiles(dir: string, { cert, key }: Certificate): Promise<string[]> {
  const [certFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key, { mode: 0o600 });
  return ['-cert-location', certFile, '-private-key-location', keyFile];
}

interface Question {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

type Ask = (url: string, question?: Question) => Promise<string>;

/** Asks over https with an authority of its own, which fetch does not take. */
function asker(ca: string | undefined): Ask {
  return async (url, { method = 'GET', headers = {}, body } = {}) => {
    const signal = AbortSignal.timeout(10_000);
    const options = { method, headers, signal, agent: false, ...(ca === undefined ? {} : { ca }) } as const;
    const sending = url.startsWith('https:') ? requestHttps(url, options) : requestHttp(url, options);
    sending.end(body);
    const [response] = (await once(sending, 'response')) as [IncomingMessage];
    const text = Buffer.concat(await response.toArray()).toString();
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw new Error(`${url} answers ${status}: ${text}`);
    return text;
  };
}
