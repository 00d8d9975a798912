import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../../src/process/run.ts';
import { withTempDir } from '../../src/process/temp.ts';
import { findTool } from '../../src/process/tools.ts';

/** A log as mysqlbinlog reads it from the server: the independent truth where a file is encrypted. */
export async function rawRemotely(server: { readonly socket: string }, binlog: string): Promise<Buffer> {
  const tool = await findTool('mysqlbinlog');
  return withTempDir('pt-raw', async (dir) => {
    const how = ['--read-from-remote-server', '--raw', `--result-file=${dir}/`];
    await runTool(tool, ['--no-defaults', '-uroot', '-S', server.socket, ...how, binlog], {
      timeoutMs: 120_000,
    });
    return readFile(join(dir, binlog));
  });
}
