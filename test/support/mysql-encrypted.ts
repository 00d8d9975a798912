import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../../src/process/run.ts';
import { findTool, type Tool } from '../../src/process/tools.ts';

/**
 * A mysqld with a keyring, which `binlog_encryption` needs. A server reads which components it loads from a manifest
 * beside the program that it was started as, so it is started under a name in a folder of the test's own.
 */
export async function mysqldWithKeyring(dir: string): Promise<Tool> {
  const tool = await findTool('mysqld');
  const plugins = join(dir, 'plugins');
  await mkdir(plugins, { recursive: true });
  const original = await pluginDirOf(tool);
  for (const name of await readdir(original)) await symlink(join(original, name), join(plugins, name));
  const keyring = { path: join(dir, 'keyring'), read_only: false };
  await writeFile(join(plugins, 'component_keyring_file.cnf'), JSON.stringify(keyring));
  const name = join(dir, 'mysqld');
  const manifest = { components: 'file://component_keyring_file' };
  await writeFile(`${name}.my`, JSON.stringify(manifest), { mode: 0o444 });
  await writeFile(name, '');
  const program = join(dir, 'start');
  await writeFile(program, await startScript(tool.program, name), { mode: 0o755 });
  return { ...tool, program, args: [...tool.args, `--plugin-dir=${plugins}`] };
}

/** Starts the server under another name; what set-up made is itself a script that says its name. */
async function startScript(program: string, name: string): Promise<string> {
  const own = await readFile(program, 'latin1');
  if (!own.startsWith('#!')) return `#!/bin/bash\nexec -a '${name}' '${program}' "$@"\n`;
  const [, rest] = /^here=.*\n([\s\S]*)$/m.exec(own) ?? [];
  if (rest === undefined) throw new Error(`${program} is no script of the set-up's`);
  return `#!/bin/sh\nhere='${program}'\n${rest.replace(/--argv0 "[^"]*"/, `--argv0 '${name}'`)}`;
}

async function pluginDirOf(tool: Tool): Promise<string> {
  const told = tool.args.find((arg) => arg.startsWith('--plugin-dir='));
  if (told !== undefined) return told.slice('--plugin-dir='.length);
  const { stdout } = await runTool(tool, ['--no-defaults', '--verbose', '--help'], { timeoutMs: 60_000 });
  const [, dir] = /^plugin-dir\s+(\S+)/m.exec(stdout) ?? [];
  if (dir === undefined) throw new Error(`${tool.program} does not say where its plugins are`);
  return dir;
}
