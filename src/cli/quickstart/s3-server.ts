import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../process/free-port.ts';
import { type RunningProcess, startProcess } from '../../process/start.ts';
import { findTool } from '../../process/tools.ts';
import { type Started, untilReady } from './world.ts';

const BUCKET = 'shop-pitr';

/** An S3 server (versitygw) on a folder, which can be killed and started again. */
export interface S3Server {
  readonly endpoint: string;
  /** The entry of `stores` in pitrail.yaml; its credentials lie in files of mode 0600. */
  readonly entry: unknown;
  /** SIGKILL, as a machine that is gone. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** Starts the server on a free port of loopback, with an empty bucket. */
export async function startS3Server(started: Started, dir: string): Promise<S3Server> {
  const home = join(dir, 's3');
  // A bucket of versitygw is a folder.
  await mkdir(join(home, 'objects', BUCKET), { recursive: true });
  const [accessKeyId, secretAccessKey] = ['quickstart', randomBytes(18).toString('base64url')];
  const [accessFile, secretFile] = [join(home, 'access-key-id'), join(home, 'secret-access-key')];
  await writeFile(accessFile, `${accessKeyId}\n`, { mode: 0o600 });
  await writeFile(secretFile, `${secretAccessKey}\n`, { mode: 0o600 });
  const tool = await findTool('versitygw');
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const logFile = join(home, 's3.log');
  let process: RunningProcess | null = null;
  const start = async (): Promise<void> => {
    const args = ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', join(home, 'objects')];
    const env = { ROOT_ACCESS_KEY_ID: accessKeyId, ROOT_SECRET_ACCESS_KEY: secretAccessKey };
    const server = await startProcess(tool, args, { logFile, env });
    process = server;
    await untilReady('The S3 server', logFile, server, async () => {
      // Any answer shows that it serves, a refusal too.
      await (await fetch(endpoint, { signal: AbortSignal.timeout(2_000) })).arrayBuffer();
    });
  };
  started.add(async () => process?.stop());
  await start();
  return {
    endpoint,
    entry: {
      id: 's3',
      s3: {
        bucket: BUCKET,
        region: 'us-east-1',
        endpoint,
        pathStyle: true,
        accessKeyId: { file: accessFile },
        secretAccessKey: { file: secretFile },
      },
    },
    async kill() {
      process?.kill('SIGKILL');
      await process?.exited;
    },
    start,
  };
}
