/** Restores to a mount point, in the mount namespace that the test made, and prints what it finds there. */
import { mkdir, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../src/config/load.ts';
import { pickCluster } from '../../src/config/pick.ts';
import { AppError } from '../../src/domain/errors.ts';
import { restoreContext } from '../../src/restoring/context.ts';
import { restoreDirectly } from '../../src/restoring/direct.ts';
import { tableChecksums } from '../support/workload.ts';
import { startRestored } from './restore-rig.ts';

/** What the test reads. */
export interface MountReport {
  /** Code of the refusal; null where it restored. */
  readonly refused: string | null;
  readonly hint: string | null;
  /** Folders that were in the target while it replayed. */
  readonly growing: readonly string[];
  readonly target: readonly string[];
  readonly beside: readonly string[];
  readonly checksums: Readonly<Record<string, string>>;
}

const { values } = parseArgs({
  options: {
    config: { type: 'string', default: '' },
    target: { type: 'string', default: '' },
    skip: { type: 'string', default: '' },
    found: { type: 'string', default: '' },
  },
});
const targetDir = values.target;
if (values.found !== '') await mkdir(`${targetDir}/${values.found}`);
let growing: string[] = [];
const context = await restoreContext(
  pickCluster(await loadConfig(values.config), 'shop'),
  new AbortController().signal,
  () => undefined,
);
const job = {
  requestId: 'on-a-mount',
  cluster: 'shop',
  store: null,
  target: 'latest',
  targetDir,
  timeline: null,
  skipGtids: values.skip,
  afterwards: 'stop',
} as const;
const watcher = {
  async onStep(step: string) {
    if (step === 'verify') growing = await readdir(`${targetDir}/#pitrail`);
  },
  onPlanned: () => undefined,
  onRetry: () => undefined,
};
let error: AppError | null = null;
try {
  await restoreDirectly(context, job, watcher);
} catch (thrown) {
  if (!(thrown instanceof AppError)) throw thrown;
  error = thrown;
}
let checksums = {};
if (error === null) {
  const server = await startRestored(targetDir);
  checksums = await tableChecksums(server);
  await server.shutdown();
  await server.stop();
}
const report: MountReport = {
  refused: error?.code ?? null,
  hint: error?.hint ?? null,
  growing,
  target: (await readdir(targetDir)).sort(),
  beside: (await readdir(dirname(targetDir))).sort(),
  checksums,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
