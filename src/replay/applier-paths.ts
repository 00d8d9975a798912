import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const MAX_SOCKET_BYTES = 107;

/** The two folders that an applier works with. */
export interface ApplierFolders {
  /** The restored data folder, absolute. */
  readonly dataDir: string;
  /** A folder of this restore alone, absolute: pid file, error log, credentials, all of them small. Made where absent. */
  readonly workDir: string;
}

export interface ApplierPaths {
  readonly socket: string;
  readonly socketDir: string;
  readonly pidFile: string;
  readonly logFile: string;
  readonly initFile: string;
  readonly credentials: string;
  /**
   * What may grow large lies where the data lie, so that one file system is to be measured. It is gone
   * before the data are handed over. No schema has a name on disk that begins so.
   */
  readonly growingDir: string;
  readonly relayDir: string;
  readonly tmpDir: string;
}

/** Where everything of an applier lies. Pure. */
export function applierPaths({ dataDir, workDir }: ApplierFolders): ApplierPaths {
  const near = join(workDir, 's.sock');
  // A deep work folder has no room for a socket; the digest finds it again after a crash.
  const digest = createHash('sha256').update(workDir).digest('hex').slice(0, 16);
  const far = join(tmpdir(), `pitrail-${process.getuid?.() ?? 0}-${digest}`, 's.sock');
  const socket = Buffer.byteLength(`${near}.lock`) <= MAX_SOCKET_BYTES ? near : far;
  const growingDir = join(dataDir, '#pitrail');
  return {
    socket,
    socketDir: dirname(socket),
    pidFile: join(workDir, 'mysqld.pid'),
    logFile: join(workDir, 'mysqld.log'),
    initFile: join(workDir, 'applier-init.sql'),
    credentials: join(workDir, 'applier.json'),
    growingDir,
    relayDir: join(growingDir, 'relay'),
    tmpDir: join(growingDir, 'tmp'),
  };
}
