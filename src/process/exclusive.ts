import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { isCode } from './files.ts';

/**
 * Takes a name that only one process of this host can hold; null where it is taken. It is a listening
 * socket without a file (Linux: abstract socket), so the kernel takes it back when its holder dies, and
 * one that was given up for dead but lives holds it still. Containers with networks of their own do not
 * see one another's. `close` gives it back.
 */
export function holdName(kind: string, subject: string): Promise<Pick<Server, 'close'> | null> {
  const digest = createHash('sha256').update(subject).digest('hex').slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (isCode(error, 'EADDRINUSE')) resolve(null);
      else reject(error);
    });
    server.listen(`\0pitrail-${kind}-${digest}`, () => resolve(server));
  });
}
