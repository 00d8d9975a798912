import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { type RunningProcess, startProcess } from '../../src/process/start.ts';
import { findTool } from '../../src/process/tools.ts';
import { testFolder } from './folder.ts';
import { freePort } from './ports.ts';
import { untilServing } from './serving.ts';

/** A Temporal development server without a web UI; its state is kept in a file, so it survives `restart`. */
export interface TestTemporal {
  /** `127.0.0.1:port` */
  readonly address: string;
  readonly namespace: 'default';
  readonly pid: number;
  readonly logFile: string;
  /** SIGKILL and start again on the same port and state. */
  restart(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server on free ports and waits until its namespace answers. */
export async function startTemporalServer(): Promise<TestTemporal> {
  const folder = await testFolder('pt-temporal');
  const tool = await findTool('temporal');
  const logFile = join(folder.path, 'temporal.log');
  const port = await freePort();
  const http = await freePort();
  const address = `127.0.0.1:${port}`;
  const args = ['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--log-level', 'error'];
  args.push(
    '--port',
    String(port),
    '--http-port',
    String(http),
    '--db-filename',
    join(folder.path, 'temporal.db'),
  );
  let process: RunningProcess | null = null;
  const start = async () => {
    process = await startProcess(tool, args, { logFile });
    await untilServing(`the Temporal server at ${address}`, { process, logFile }, () =>
      askNamespace(address),
    );
  };
  const kill = async () => {
    process?.kill('SIGKILL');
    await process?.exited;
    process = null;
  };
  await start();
  return {
    address,
    namespace: 'default',
    logFile,
    get pid() {
      if (process === null) throw new Error('the Temporal server is down');
      return process.pid;
    },
    start,
    kill,
    async restart() {
      await kill();
      await start();
    },
    async stop() {
      await kill();
      await folder.remove();
    },
  };
}

async function askNamespace(address: string): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: 2_000 });
  try {
    await connection.workflowService.describeNamespace({ namespace: 'default' });
  } finally {
    await connection.close();
  }
}
