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
  // Lines without columns: the SDK parses the map in each isolate, which took 8 MB there.
  webpackConfigHook: (config) => ({ ...config, devtool: 'inline-cheap-module-source-map' }),
  logger: new DefaultLogger('WARN', ({ message }) => process.stderr.write(`${message}\n`)),
});
// A crash before the rename leaves a .tmp file, which the next build of this process id overwrites.
const temporary = `${output}.${process.pid}.tmp`;
await writeFile(temporary, inAscii(withoutSources(code)));
await rename(temporary, output);

/**
 * Takes the sources' text out of the bundle's source map: places in a stack trace need the mappings
 * alone, and a worker would hold the text in memory several times.
 */
function withoutSources(bundle: string): string {
  const mark = 'sourceMappingURL=data:application/json;charset=utf-8;base64,';
  const at = bundle.lastIndexOf(mark);
  if (at < 0) throw new Error('the bundle has no source map of the known form');
  const start = at + mark.length;
  const map = JSON.parse(Buffer.from(bundle.slice(start).trim(), 'base64').toString()) as object;
  const lean = JSON.stringify({ ...map, sourcesContent: undefined });
  return `${bundle.slice(0, start)}${Buffer.from(lean).toString('base64')}\n`;
}

/** Writes other characters as escapes, which mean the same: V8 takes two bytes for each character of a text with one of them. */
function inAscii(bundle: string): string {
  return bundle.replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
