import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { ClusterConfig } from '../../config/types.ts';
import { findTool } from '../../process/tools.ts';
import { type CheckFinding, failed, findingsOf, ok } from './finding.ts';

/** Checks the programs that backups and restores start. */
export async function checkTools(clusters: readonly ClusterConfig[]): Promise<readonly CheckFinding[]> {
  const named = [...new Set(clusters.map(({ restore }) => restore.mysqld))];
  const findings = await Promise.all(named.map((path) => (path === null ? checkFound() : checkNamed(path))));
  return findings.flat();
}

function checkFound(): Promise<readonly CheckFinding[]> {
  return findingsOf('tools', async () => {
    const { program, version } = await findTool('mysqld');
    return [ok('tools', `mysqld ${version} for backups and restores: ${program}`)];
  });
}

async function checkNamed(path: string): Promise<readonly CheckFinding[]> {
  const reason = await access(path, constants.X_OK).then(
    () => null,
    (error: NodeJS.ErrnoException) => error.code ?? 'unknown reason',
  );
  if (reason === null) return [ok('tools', `mysqld for backups and restores: ${path}`)];
  const message = `restore.mysqld names ${path}, which cannot be run (${reason}), so nothing can be restored.`;
  return [
    failed(
      'tools',
      'ToolMissing',
      'config',
      message,
      'Name a program that is there, or leave restore.mysqld out.',
    ),
  ];
}
