import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { AppError } from '../domain/errors.ts';
import { isCode } from '../process/files.ts';

/**
 * Runs a step while no other process of this host works on the same target. The lock is a listening
 * socket without a file (Linux: abstract socket), so the kernel takes it back when its holder dies,
 * and one that was given up for dead but lives holds it still.
 * @throws unavailable `RestoreBusy` where another process has it
 */
export async function withRestoreLock<T>(targetDir: string, act: () => Promise<T>): Promise<T> {
  const lock = await listen(targetDir);
  try {
    return await act();
  } finally {
    lock.close();
  }
}

function listen(targetDir: string): Promise<Server> {
  const name = createHash('sha256').update(targetDir).digest('hex').slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(isCode(error, 'EADDRINUSE') ? busy(targetDir) : error));
    server.listen(`\0pitrail-restore-${name}`, () => resolve(server));
  });
}

function busy(targetDir: string): AppError {
  return new AppError({
    code: 'RestoreBusy',
    kind: 'unavailable',
    message: `Another process works on the restore to ${targetDir} at this moment, so this one waits.`,
    hint: 'It goes on when that process ends. If it should not run, end it.',
    facts: { targetDir },
  });
}
