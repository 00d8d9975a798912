/**
 * Program: bundles the workflows into one file. Runs as a process of its own, because webpack
 * needs more memory than a whole worker may.
 *
 * Usage: `node src/worker/build-bundle.ts OUTPUT`
 */
import { rename, writeFile } from 'node:fs/promises';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { workflowsFolder } from './workflow-sources.ts';

const [output] = process.argv.slice(2);
if (output === undefined) throw new Error('usage: build-bundle OUTPUT');

const { code } = await bundleWorkflowCode({
  workflowsPath: `${workflowsFolder()}/index.ts`,
  logger: new DefaultLogger('WARN', ({ message }) => process.stderr.write(`${message}\n`)),
});
// A crash before the rename leaves a .tmp file, which the next build of this process id overwrites.
const temporary = `${output}.${process.pid}.tmp`;
await writeFile(temporary, code);
await rename(temporary, output);
