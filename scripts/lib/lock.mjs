import { createHash } from 'node:crypto';
import { createConnection, createServer } from 'node:net';

/**
 * Runs `act` while no other set-up of this host holds the same name; a second one waits.
 * The lock is a listening socket without a file (Linux: abstract socket), so the kernel takes it back
 * when its holder ends, however it ends: a crash never blocks the next set-up.
 */
export async function withLock(name, onWait, act) {
  const path = `\0pitrail-setup-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
  let waiting = false;
  for (;;) {
    const lock = await tryListen(path);
    if (lock.kind === 'held') {
      if (!waiting) onWait();
      waiting = true;
      await holderEnds(path);
      continue;
    }
    try {
      return await act();
    } finally {
      lock.release();
    }
  }
}

function tryListen(path) {
  const waiters = new Set();
  const server = createServer((socket) => {
    waiters.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => waiters.delete(socket));
  });
  const release = () => {
    server.close();
    for (const socket of waiters) socket.destroy();
  };
  return new Promise((resolve) => {
    server.once('error', (error) => {
      // Where the system has no such sockets the lock is left out: every step below it is built
      // beside its place and renamed into it, so the price is work done twice.
      resolve(error.code === 'EADDRINUSE' ? { kind: 'held' } : { kind: 'none', release: () => undefined });
    });
    server.listen(path, () => resolve({ kind: 'taken', release }));
  });
}

/** The connection ends when its holder releases the lock, or dies. */
function holderEnds(path) {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.on('error', () => setTimeout(resolve, 50));
    socket.on('close', resolve);
    socket.resume();
  });
}
