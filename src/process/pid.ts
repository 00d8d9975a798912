import { readFile } from 'node:fs/promises';

/**
 * True while a process runs. A zombie counts as ended: a process whose parent died before it may
 * stay one for ever where nobody reaps it (containers without an init).
 */
export async function isAlive(pid: number): Promise<boolean> {
  const stat = await readProc(pid, 'stat');
  if (stat === null) return false;
  // proc(5): the state follows the command name, which stands in parentheses and may contain any character.
  const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  return state !== 'Z' && state !== 'X';
}

/** The command line of a process, its arguments separated by NUL; null where there is none. */
export function commandLine(pid: number): Promise<string | null> {
  return readProc(pid, 'cmdline');
}

async function readProc(pid: number, file: 'stat' | 'cmdline'): Promise<string | null> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}
